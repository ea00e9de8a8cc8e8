"""Where files come from: what a source must do, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.operations.operation import FileRef


class FileSource(Protocol):
    """One kind of place. Methods raise ``TransientError`` while it is out of reach."""

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return which file ``ref`` means.

        Raises:
            OperationError: There is none, or ``caller`` may not see it; nobody can tell which of the two.
        """

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Write the whole content to a new file, or raise; what is left of a broken one does not matter.

        Raises:
            OperationError: It is not there any more, or is too large.
        """

    def local_path(self, file: InputFile) -> Path | None:
        """Return where the content lies on this machine already, else None.

        Raises:
            OperationError: It is not what it was when it was found.
        """
