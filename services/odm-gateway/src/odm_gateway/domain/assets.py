"""Which downloads there are, and where they lie in a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

ARCHIVE = "all.zip"

_SHORT_NAMES: Mapping[str, str] = {
    "orthophoto.tif": "odm_orthophoto/odm_orthophoto.tif",
    "orthophoto.png": "odm_orthophoto/odm_orthophoto.png",
    "dsm.tif": "odm_dem/dsm.tif",
    "dtm.tif": "odm_dem/dtm.tif",
    "report.pdf": "odm_report/report.pdf",
}
_FILES = frozenset(
    {
        ARCHIVE, "images.json", "cameras.json", "task_output.txt", "log.json",
    }
)  # fmt: skip
_FOLDERS = frozenset(
    {
        "odm_orthophoto", "odm_georeferencing", "odm_texturing", "odm_dem", "odm_report", "dsm_tiles",
        "dtm_tiles", "orthophoto_tiles", "potree_pointcloud", "entwine_pointcloud", "3d_tiles",
    }
)  # fmt: skip
_MEDIA_TYPES: Mapping[str, str] = {
    ".zip": "application/zip",
    ".tif": "image/tiff",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".txt": "text/plain; charset=utf-8",
}


def product_path(asset: str) -> str | None:
    """Return the path of a download inside the project, or None where no task can have such an asset."""
    path = _SHORT_NAMES.get(asset, asset)
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
        return None
    if len(parts) == 1:
        return path if path in _FILES else None
    return path if parts[0] in _FOLDERS else None


def media_type(path: str) -> str:
    """Return the media type of a download; JSON files are plain bytes, because PyODM would parse them."""
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")
