"""The list of a job's files: its images, and beside them what tells an engine more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict

from odm_gateway.domain.images import flat_names, is_image

Role = Literal["gcp", "geo", "image_groups", "align", "seed"]

FILES_AT_MOST = 100_000

_GCP = "gcp_list.txt"
_ROLES: dict[str, Role] = {
    "geo.txt": "geo",
    "image_groups.txt": "image_groups",
    "align.las": "align",
    "align.laz": "align",
    "align.tif": "align",
    "seed.zip": "seed",
}
_STAGED_NAMES: dict[Role, str] = {
    "gcp": _GCP,
    "geo": "geo.txt",
    "image_groups": "image_groups.txt",
    "seed": "seed.zip",
}
"""What engines look for; the file to align with keeps its suffix."""


class ListedFile(BaseModel):
    """One file that the job needs; without a hash, the store's own counts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    key: str
    size_bytes: int
    sha256: str | None = None
    role: Role | None = None
    """What a file that is no image is for; None: nothing in particular."""


class Manifest(BaseModel):
    """All files of a job, as far as this service reads of a manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images: tuple[ListedFile, ...]
    sidecars: tuple[ListedFile, ...] = ()

    @property
    def files(self) -> tuple[ListedFile, ...]:
        """Return images and sidecars."""
        return (*self.images, *self.sidecars)

    @property
    def total_bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.size_bytes for file in self.files)

    def with_roles(self) -> Manifest:
        """Return the manifest with the roles that its sidecars' names tell, where it names none itself."""
        if any(file.role for file in self.sidecars):
            return self
        return self.model_copy(update={"sidecars": _sidecars(self.sidecars)})


def manifest_of(files: Iterable[ListedFile]) -> Manifest:
    """Return the manifest of ``files``, sorted by path.

    Archives other than ``seed.zip`` and texts that are for nothing do not count: an engine would take a
    text for ground control points.
    """
    ordered = sorted(files, key=lambda file: file.path)
    images = [file for file in ordered if counts_as_image(file.path)]
    others = [file for file in ordered if not counts_as_image(file.path)]
    return Manifest(images=tuple(images), sidecars=_sidecars(others))


def counts_as_image(path: str) -> bool:
    """Return whether a file of this name is one of a task's images."""
    return is_image(path) and PurePosixPath(path).name.lower() not in _ROLES


def has_role(path: str) -> bool:
    """Return whether a file of this name may tell an engine something."""
    name = PurePosixPath(path).name.lower()
    return name in _ROLES or name.endswith(".txt")


def staged_names(files: Iterable[ListedFile]) -> dict[str, str]:
    """Return by path what files are called in an engine's folder of images."""
    listed = list(files)
    fixed = {file.path: _staged_name(file, file.role) for file in listed if file.role}
    return fixed | flat_names((file.path for file in listed if not file.role), fixed.values())


def _staged_name(file: ListedFile, role: Role) -> str:
    return _STAGED_NAMES.get(role) or f"align{PurePosixPath(file.path).suffix.lower()}"


def _sidecars(files: Iterable[ListedFile]) -> tuple[ListedFile, ...]:
    """Return what counts of ``files``, each role given once."""
    kept: list[ListedFile] = []
    given: set[Role] = set()
    for file in sorted(files, key=lambda file: (_name(file) != _GCP, file.path)):
        role = _role(_name(file))
        if role in given or (role is None and _name(file).endswith(".zip")):
            continue
        if role:
            given.add(role)
        kept.append(file.model_copy(update={"role": role}))
    return tuple(sorted(kept, key=lambda file: file.path))


def _role(name: str) -> Role | None:
    return _ROLES.get(name) or ("gcp" if name.endswith(".txt") else None)


def _name(file: ListedFile) -> str:
    return PurePosixPath(file.path).name.lower()
