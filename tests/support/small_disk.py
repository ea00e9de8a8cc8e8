"""A disk that is soon full: a small tmpfs, for which one must be root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotMountError(Exception):
    """This process may not mount file systems."""


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a tmpfs of ``size_bytes`` on ``folder``.

    Raises:
        CannotMountError: We are not root, or in a container that forbids it.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMountError(str(error)) from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
