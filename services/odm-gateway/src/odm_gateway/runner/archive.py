"""``all.zip``: a project's products in one file, as NodeODM's clients expect them."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .workspace import Workspace

USUAL = (
    *(f"odm_orthophoto/odm_orthophoto{end}" for end in (".tif", ".tfw", ".png", ".wld", ".mbtiles", ".kmz")),
    "odm_orthophoto/odm_orthophoto_extent.dxf", "odm_orthophoto/cutline.gpkg", "odm_georeferencing",
    "odm_texturing", "odm_dem/dsm.tif", "odm_dem/dtm.tif", "odm_dem/dsm.euclideand.tif",
    "odm_dem/dtm.euclideand.tif", "dsm_tiles", "dtm_tiles", "orthophoto_tiles", "potree_pointcloud",
    "entwine_pointcloud", "3d_tiles", "images.json", "cameras.json", "task_output.txt", "log.json",
    "odm_report",
)  # fmt: skip
"""What NodeODM's clients expect in ``all.zip``."""


def products(workspace: Workspace, outputs: Sequence[str]) -> list[str]:
    """Return the files that belong into the archive, by their paths in the project."""
    found: set[str] = set()
    for output in outputs or USUAL:
        path = os.path.normpath(f"/{output}").lstrip("/")
        if path:
            found.update(_files(workspace, path))
    return sorted(found - {workspace.archive.name})


def _files(workspace: Workspace, path: str) -> Iterator[str]:
    place = workspace.project / path
    if place.is_dir() and not place.is_symlink():
        for folder, _, names in os.walk(place):
            for name in names:
                yield from _own(workspace, Path(folder, name))
    else:
        yield from _own(workspace, place)


def _own(workspace: Workspace, path: Path) -> Iterator[str]:
    """Yield the path unless a link makes it a file of somebody else."""
    if path.is_file() and workspace.folder in path.resolve().parents and not path.name.endswith(".partial"):
        yield path.relative_to(workspace.project).as_posix()


def write_archive(workspace: Workspace, paths: Iterable[str], check: Callable[[], None]) -> None:
    """Store the files uncompressed, as they are already; Zip64 where sizes need it."""
    unfinished = workspace.archive.with_name(".all.zip.partial")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as bundle:
        for path in paths:
            check()
            entry = zipfile.ZipInfo.from_file(workspace.project / path, path, strict_timestamps=False)
            with (workspace.project / path).open("rb") as source, bundle.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    unfinished.replace(workspace.archive)
