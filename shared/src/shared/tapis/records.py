"""What Tapis tells of systems and files, checked before it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shared.tapis.faults import TapisFault

Access = Literal["ok", "disabled", "no-credentials"]
SYSTEM_FIELDS = (
    "id,systemType,owner,host,description,created,updated,enabled,hasCredentials,isDynamicEffectiveUser"
)


@dataclass(frozen=True, slots=True)
class TapisSystem:
    """A storage system, as one user sees it."""

    id: str
    system_type: str
    """LINUX, S3, IRODS or GLOBUS."""
    host: str = ""
    description: str = ""
    created: str = ""
    updated: str = ""
    access: Access = "ok"
    """Why its files cannot be read, as far as Tapis tells before they are asked for."""

    @property
    def has_folders(self) -> bool:
        """Return whether its listings are of one folder; those of S3 are of all keys below it."""
        return self.system_type != "S3"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One line of a listing."""

    path: str
    """Without a leading slash, from the root of the system."""
    kind: str
    """``file``, ``dir``, ``symbolic_link``, ``other`` or ``unknown``."""
    size_bytes: int
    modified: str


def system_of(record: Any) -> TapisSystem:
    """Return a system.

    Raises:
        TapisFault: The answer is malformed.
    """
    name, kind = getattr(record, "id", None), getattr(record, "systemType", None)
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        raise TapisFault(None, "a system without an id or a type")
    texts = {
        field: str(getattr(record, field, None) or "")
        for field in ("host", "description", "created", "updated")
    }
    return TapisSystem(name, kind, access=_access(record), **texts)


def _access(record: Any) -> Access:
    if getattr(record, "enabled", True) is False:
        return "disabled"
    is_own_login = getattr(record, "isDynamicEffectiveUser", True) is not False
    if is_own_login and getattr(record, "hasCredentials", True) is False:
        return "no-credentials"
    return "ok"


def file_of(record: Any) -> FileInfo:
    """Return a line of a listing.

    Raises:
        TapisFault: The answer is malformed.
    """
    path, size, kind = (getattr(record, name, None) for name in ("path", "size", "type"))
    if not isinstance(path, str) or not isinstance(size, int) or size < 0:
        raise TapisFault(None, "a file without a path or a size")
    modified = getattr(record, "lastModified", None)
    kind = "dir" if path.endswith("/") else kind  # the object that stands for a folder on S3
    return FileInfo(path.strip("/"), str(kind or "unknown"), size, str(modified or ""))
