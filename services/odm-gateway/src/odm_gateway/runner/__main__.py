"""``python -m odm_gateway.runner FOLDER``: pack the runner into one file, for images of others."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from odm_gateway.runner.status import Status
from odm_gateway.runner.workspace import Workspace

NAME = "odm_runner"
MAIN = f"import sys\n\nfrom {NAME}.cli import main\n\nsys.exit(main())\n"


def pack(folder: Path) -> Path:
    """Write ``odm_runner.pyz``, which any Python from 3.8 on can run, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{NAME}.pyz"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", MAIN)
        for module in sorted(Path(__file__).parent.glob("*.py")):
            if module.name != "__main__.py":
                archive.write(module, f"{NAME}/{module.name}")
    return target


def main() -> None:
    """Pack the runner into the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m odm_gateway.runner", description=__doc__)
    parser.add_argument("folder", type=Path, help=f"gets {NAME}.pyz")
    parser.add_argument(
        "--begin",
        metavar="WORKSPACE",
        type=Path,
        help="forget how an earlier run ended, unless it ended well",
    )
    asked = parser.parse_args()
    pack(asked.folder)
    if asked.begin:
        Status(Workspace(asked.begin.resolve()), None).begin()


if __name__ == "__main__":
    main()
