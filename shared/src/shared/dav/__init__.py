"""WebDAV and Nextcloud servers. Importing this needs no aiohttp; opening a server does (extra ``dav``)."""

from shared.dav.client import Dav, open_dav
from shared.dav.errors import (
    AlreadyThereError,
    ChangedError,
    FullError,
    LockedError,
    ParentMissingError,
    RefusedError,
)
from shared.dav.model import DavFolder, DavResource, Habits, Tag
from shared.dav.paths import is_temporary
from shared.dav.place import DavPlace, nextcloud_files_url

__all__ = [
    "AlreadyThereError",
    "ChangedError",
    "Dav",
    "DavFolder",
    "DavPlace",
    "DavResource",
    "FullError",
    "Habits",
    "LockedError",
    "ParentMissingError",
    "RefusedError",
    "Tag",
    "is_temporary",
    "nextcloud_files_url",
    "open_dav",
]
