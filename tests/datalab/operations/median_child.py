"""Takes the median of files in a process of its own and prints the most memory that it had, in MB.

python -m tests.datalab.operations.median_child FOLDER RESULTS NAME...
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.used import peak_bytes

from datalab.operations.median import Median, MedianInputs
from datalab.operations.operation import FileRef
from tests.datalab.operations.working import FolderWork

if __name__ == "__main__":
    folder, results, *names = sys.argv[1:]
    refs = tuple(FileRef(basename=name) for name in names)
    Median.compute(MedianInputs(input_files=refs), FolderWork(Path(folder), Path(results)))
    sys.stdout.write(f"{peak_bytes(os.getpid()) / 1e6}\n")
