"""What lies on a WebDAV server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tag:
    """A Nextcloud tag; two may share a name."""

    id: int
    name: str
    can_assign: bool
    """Whether we may put it on and take it off."""


@dataclass(frozen=True, slots=True)
class DavResource:
    """One file or folder."""

    path: str
    """Decoded, relative to the place, without a slash at either end; empty for the place itself."""
    is_folder: bool
    size_bytes: int | None = None
    etag: str = ""
    """Changes with the content; see ``etags``. Nothing where the server tells nothing."""
    modified_at: datetime | None = None
    sha256: str | None = field(default=None, compare=False)
    """What whoever wrote it claimed; Nextcloud never checked that."""
    file_id: int | None = None
    """On Nextcloud; kept when it is moved."""
    tags: tuple[Tag, ...] = ()
    has_weak_etag: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class DavFolder:
    """What lies directly in a folder, each sorted by path."""

    itself: DavResource
    files: tuple[DavResource, ...] = ()
    folders: tuple[DavResource, ...] = ()
    leftovers: tuple[DavResource, ...] = ()
    """Temporary files of ours; perhaps one is being written just now. ``Dav.tidy`` removes old ones."""
    unusable: tuple[str, ...] = ()
    """Names that no path may have, with escapes in the place of what cannot be shown."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a server honours, as far as it was tried out; nothing is taken for granted before that."""

    honours_if_none_match: bool = False
    """Whether ``PUT`` with ``If-None-Match: *`` leaves alone what is there."""
    honours_if_match: bool = False
    """Whether ``DELETE`` and ``MOVE`` with ``If-Match`` leave alone what has changed."""
    honours_overwrite: bool = False
    """Whether ``MOVE`` with ``Overwrite: F`` leaves alone what is there."""
    moves_any_name: bool = False
    """Whether ``MOVE`` finds a target whose name holds ``?`` or ``;``; wsgidav cuts it there."""
    hashes_content: bool = False
    """Whether it is a Nextcloud that hashes what it has stored."""
    has_tags: bool = False
    """Whether it is a Nextcloud with tags."""
    was_tried: bool = field(default=False, compare=False)

    @property
    def writes_whole(self) -> bool:
        """Return whether a file may be written under its own name: nobody ever sees half of it there."""
        return self.hashes_content and self.honours_if_none_match

    @property
    def risks(self) -> tuple[str, ...]:
        """Return what this server makes possible in spite of us, in words for its operator."""
        told = {
            "a file replaced in the moment between our look and our delete is deleted": self.honours_if_match,
            "a file that appears in the moment between our look and our move is overwritten": (
                self.honours_overwrite
            ),
        }
        return tuple(risk for risk, is_avoided in told.items() if self.was_tried and not is_avoided)
