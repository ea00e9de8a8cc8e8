"""Brings the products of a flight into a folder, each whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from shared.errors import InvalidInputError
from shared.objects.port import ObjectStore
from shared.state.owner import is_gone, process_owner

UNFINISHED = ".unfinished-"


async def collect(objects: ObjectStore, prefix: str, names: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Put the objects ``names`` below ``prefix`` into ``folder``, and return where they are."""
    paths = tuple(folder / name for name in names)
    with _unfinished(folder) as unfinished:
        for name, path in zip(names, paths, strict=True):
            await objects.download(f"{prefix}/{name}", unfinished)
            with _refused(folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished.replace(path)
    return paths


@contextmanager
def folder_for_products(folder: Path) -> Iterator[None]:
    """Make ``folder`` before the long work begins, and remove it behind that if nothing came of it.

    Raises:
        InvalidInputError: Nothing can be written there.
    """
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _unfinished(folder) as unfinished, _refused(folder):
        unfinished.touch()
    try:
        yield
    finally:
        with suppress(OSError):  # it holds something
            folder.rmdir()


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Give a file in a hidden folder of this process, and remove those of processes that were killed."""
    with _refused(folder):
        for left in folder.glob(f"{UNFINISHED}*"):
            if is_gone(unquote(left.name.removeprefix(UNFINISHED))):
                shutil.rmtree(left)
        ours = folder / f"{UNFINISHED}{quote(process_owner(), safe='')}"
        ours.mkdir(exist_ok=True)
    try:
        yield ours / "product"
    finally:
        shutil.rmtree(ours, ignore_errors=True)


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"products cannot be written to {folder}: {error.strerror}; name another folder with --out",
            field="--out",
            value=str(folder),
        ) from error
