"""ODM's project folder, made ready: images linked, the seed of split-merge unpacked."""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .command import sidecars
from .workspace import RefusedError, Workspace, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED_ENTRIES = 100_000
SPARE_BYTES = 64 << 20


def link_images(workspace: Workspace) -> None:
    """Show ODM the images, without what else was sent; links cost no space and are good in containers."""
    target = workspace.project / "images"
    target.mkdir(parents=True, exist_ok=True)
    aside = {name for _, name in sidecars(workspace.images)}
    wanted = {
        path.name
        for path in workspace.images.iterdir()
        if path.is_file() and path.name not in aside and path.suffix.lower() not in (".txt", ".zip")
    }
    for link in target.iterdir():
        if link.is_symlink() and link.name not in wanted:
            link.unlink()
    for name in wanted:
        with suppress(FileExistsError):
            (target / name).symlink_to(Path("..", "..", workspace.images.name, name))


def unpack_seed(workspace: Workspace) -> None:
    """Unpack what split-merge sends along into the project, once.

    Raises:
        RefusedError: The archive is damaged, too large, or leads out of the project.
    """
    found = [path for path in workspace.images.iterdir() if path.name.lower() == "seed.zip"]
    if not found:
        return
    try:
        with zipfile.ZipFile(found[0]) as seed:
            _unpack(seed, workspace.project)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise RefusedError(f"seed.zip cannot be unpacked: {error}") from error


def _unpack(seed: zipfile.ZipFile, project: Path) -> None:
    entries = [entry for entry in seed.infolist() if not entry.is_dir()]
    listing = repr([(entry.filename, entry.CRC, entry.file_size) for entry in entries])
    identity = hashlib.sha256(listing.encode()).hexdigest()
    mark = project / ".seed"
    if mark.is_file() and mark.read_text() == identity:  # what ODM made of it since is not to be lost
        return
    _check_seed(entries, project)
    for entry in entries:
        target = project / entry.filename
        if project not in target.resolve().parents:  # a link of an earlier start may lead anywhere
            raise RefusedError(f"seed.zip leads out of its project: {entry.filename!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name[:200]}.partial")
        with seed.open(entry) as content, unfinished.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        unfinished.replace(target)
    write_whole(mark, identity)


def _check_seed(entries: Sequence[zipfile.ZipInfo], project: Path) -> None:
    if len(entries) > SEED_ENTRIES:
        raise RefusedError(f"seed.zip has {len(entries)} entries, at most {SEED_ENTRIES} are unpacked.")
    size, free = sum(entry.file_size for entry in entries), shutil.disk_usage(project).free - SPARE_BYTES
    if size > free:
        raise RefusedError(f"seed.zip unpacks to {size} bytes, and {max(0, free)} are free.")
    for entry in entries:
        parts = entry.filename.split("/")
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        if is_link or "\\" in entry.filename or any(part in ("", ".", "..") for part in parts):
            raise RefusedError(f"seed.zip leads out of its project: {entry.filename!r}")
