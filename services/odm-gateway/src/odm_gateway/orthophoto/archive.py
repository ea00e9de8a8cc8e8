"""``all.zip``: a project's products in one file, as NodeODM's clients expect them."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING, Final

from .files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CHUNK_BYTES: Final = 1 << 20


def write_archive(archive: Path, project_dir: Path, assets: Iterable[str]) -> None:
    """Store ``assets``, paths below ``project_dir``, uncompressed; Zip64 where sizes need it.

    The products are compressed already, and stored entries can be read in part.
    """
    with replacing(archive) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as bundle:
        for asset in sorted(assets):
            entry = zipfile.ZipInfo.from_file(project_dir / asset, asset, strict_timestamps=False)
            with (project_dir / asset).open("rb") as source, bundle.open(entry, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
