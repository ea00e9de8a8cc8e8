"""The folder that a run works in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "project"


class RefusedError(Exception):
    """The job cannot be done as it was asked for; the text is for its user."""

    exit_code = 2


class NotStartedError(RefusedError):
    """ODM's program could not be started."""

    exit_code = 127


class Workspace(NamedTuple):
    """Where things lie; ``folder`` is absolute, without links."""

    folder: Path

    @property
    def images(self) -> Path:
        """Return the folder of what was sent: images, and files beside them."""
        return self.folder / "images"

    @property
    def project(self) -> Path:
        """Return ODM's own folder."""
        return self.folder / PROJECT

    @property
    def archive(self) -> Path:
        """Return the file for all products."""
        return self.project / "all.zip"

    @property
    def console(self) -> Path:
        """Return the file of everything that was said."""
        return self.folder / "console.log"

    @property
    def status(self) -> Path:
        """Return the file that tells how far the run is."""
        return self.folder / "status.json"

    @property
    def assets(self) -> Path:
        """Return the file that lists the products of a good end."""
        return self.folder / "assets.json"

    def job(self) -> dict[str, Any]:
        """Return what is asked for.

        Raises:
            RefusedError: That cannot be read.
        """
        try:
            return dict(json.loads((self.folder / "job.json").read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise RefusedError(f"The job cannot be read: {error}") from error


def write_whole(path: Path, text: str) -> None:
    """Replace a small file at once."""
    unfinished = path.with_name(f".{path.name}.partial")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
