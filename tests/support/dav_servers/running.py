"""A running WebDAV server, and what it really stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from flightline.nextcloud_simulator import Nextcloud
from shared.dav.place import DavPlace

USER, PASSWORD = "anna", "app:password"


class Stored(Protocol):
    """What lies on a server, past the client under test; paths are relative to the place."""

    def put(self, path: str, content: bytes) -> None:
        """Put a file there, with its folders, whatever was there."""

    def get(self, path: str) -> bytes:
        """Return a file's content."""

    def names(self, folder: str = "") -> set[str]:
        """Return the paths, relative to the folder, of all files below it."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def tag(self, path: str, *names: str) -> None:
        """Put tags on a file."""

    def tags_of(self, path: str) -> set[str]:
        """Return the names of a file's tags."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What lies on a server whose folder is at hand."""

    root: Path
    simulator: Nextcloud | None = None

    def put(self, path: str, content: bytes) -> None:
        """Put a file there at once, with its folders, whatever was there."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        growing = self.root.parent / f"{self.root.name}.growing"
        growing.write_bytes(content)
        growing.replace(place)

    def get(self, path: str) -> bytes:
        """Return a file's content."""
        return (self.root / path).read_bytes()

    def names(self, folder: str = "") -> set[str]:
        """Return the paths, relative to the folder, of all files below it."""
        root = self.root / folder
        return {str(one.relative_to(root)) for one in root.rglob("*") if one.is_file() and not _is_own(one)}

    def remove(self, path: str) -> None:
        """Remove a file."""
        (self.root / path).unlink()

    def tag(self, path: str, *names: str) -> None:
        """Put tags on a file."""
        self._simulator.tag(path, *names)

    def tags_of(self, path: str) -> set[str]:
        """Return the names of a file's tags."""
        return self._simulator.tags_of(path)

    @property
    def _simulator(self) -> Nextcloud:
        if self.simulator is None:
            raise LookupError("this server has no tags")
        return self.simulator


@dataclass(frozen=True)
class RunningDav:
    """A server that listens on loopback."""

    kind: str
    place: DavPlace
    stored: Stored
    disk: Path | None
    simulator: Nextcloud | None = None
    """With tags to make, switches, faults and counters; only of ``nextcloud``."""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return where the server keeps what it shows; where there is none, the test is skipped."""
        if self.disk is None:
            pytest.skip(f"what {self.kind} stores cannot be looked at on a disk")
        return self.disk

    @property
    def has_tags(self) -> bool:
        """Return whether files can have tags there."""
        return self.kind in ("nextcloud", "real")

    def at(self, root: str) -> DavPlace:
        """Return the place as it is seen through a proxy at ``root``, such as ``http://127.0.0.1:1234``."""
        own = _root(self.place.url)
        host_url = self.place.host_url.replace(own, root, 1)
        return replace(self.place, url=self.place.url.replace(own, root, 1), host_url=host_url)

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens."""
        host, _, port = _root(self.place.url).partition("://")[2].partition(":")
        return host, int(port)


def place_at(url: str, *, host_url: str = "", user: str = USER, password: str = PASSWORD) -> DavPlace:
    """Return a place with the tests' login."""
    return DavPlace(url=url, username=user, password=SecretStr(password), host_url=host_url)


@contextmanager
def on_disk(kind: str, url: str, disk: Path) -> Iterator[RunningDav]:
    """Give a server that shows a folder of the disk."""
    yield RunningDav(kind, place_at(url), OnDisk(disk), disk)


def _root(url: str) -> str:
    return "/".join(url.split("/")[:3])


def _is_own(path: Path) -> bool:
    """Return whether a server keeps notes of its own there, as Apache does about properties."""
    return ".DAV" in path.parts
