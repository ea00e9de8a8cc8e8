"""The two versions of the key-value engine."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flightline.vault_simulator.answers import RefusedError, missing, moment

_VERSIONS_AT_MOST = 10
"""How many Vault keeps if nobody says otherwise."""

Values = dict[str, Any]


@dataclass(slots=True)
class Version:
    """What a secret was at one time."""

    number: int
    values: Values | None = field(repr=False)
    created_s: float = field(default_factory=time.time)
    deleted_s: float | None = None

    @property
    def is_destroyed(self) -> bool:
        """Return whether its values are gone for good."""
        return self.values is None

    @property
    def is_there(self) -> bool:
        """Return whether it can be read."""
        return not self.is_destroyed and self.deleted_s is None

    def facts(self) -> dict[str, Any]:
        """Return what the list of versions says of it."""
        return {
            "created_time": moment(self.created_s),
            "deletion_time": "" if self.deleted_s is None else moment(self.deleted_s),
            "destroyed": self.is_destroyed,
        }


@dataclass(slots=True)
class History:
    """All versions of a secret that are kept."""

    versions: dict[int, Version] = field(default_factory=dict)
    current: int = 0
    custom: dict[str, str] | None = None
    is_cas_required: bool = False

    def add(self, values: Values) -> Version:
        """Add a version and drop the oldest, if there are too many."""
        self.current += 1
        version = self.versions[self.current] = Version(self.current, values)
        for number in sorted(self.versions)[:-_VERSIONS_AT_MOST]:
            del self.versions[number]
        return version

    def metadata(self, version: Version) -> dict[str, Any]:
        """Return what goes along with a version."""
        return {**version.facts(), "custom_metadata": self.custom, "version": version.number}

    def document(self) -> dict[str, Any]:
        """Return what is known of the secret without its values."""
        numbers = sorted(self.versions)
        return {
            "cas_required": self.is_cas_required,
            "created_time": self.versions[numbers[0]].facts()["created_time"] if numbers else "",
            "current_version": self.current,
            "custom_metadata": self.custom,
            "delete_version_after": "0s",
            "max_versions": 0,
            "oldest_version": numbers[0] if numbers else 0,
            "updated_time": self.versions[numbers[-1]].facts()["created_time"] if numbers else "",
            "versions": {str(number): self.versions[number].facts() for number in numbers},
        }


class VersionedEngine:
    """KV version 2."""

    version = 2

    def __init__(self) -> None:
        self.secrets: dict[str, History] = {}
        self.config: dict[str, Any] = {
            "max_versions": 0,
            "cas_required": False,
            "delete_version_after": "0s",
        }

    def history(self, path: str) -> History:
        """Return all versions of a secret.

        Raises:
            RefusedError: There is none.
        """
        if path not in self.secrets:
            raise missing()
        return self.secrets[path]

    def read(self, path: str, number: int = 0) -> tuple[dict[str, Any], bool]:
        """Return a version with its metadata, and whether it is there; deleted, its values are null.

        Raises:
            RefusedError: There is none.
        """
        history = self.history(path)
        version = history.versions.get(number or history.current)
        if version is None:
            raise missing()
        values = version.values if version.is_there else None
        return {"data": values, "metadata": history.metadata(version)}, version.is_there

    def write(self, path: str, values: Values, cas: int | None = None) -> dict[str, Any]:
        """Add a version, and return its metadata.

        Raises:
            RefusedError: ``cas`` is not the current version.
        """
        history = self.secrets.get(path) or History()
        if cas is None and (history.is_cas_required or self.config["cas_required"]):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "check-and-set parameter required for this call")
        if cas is not None and cas != history.current:
            reason = "check-and-set parameter did not match the current version"
            raise RefusedError(HTTPStatus.BAD_REQUEST, reason)
        self.secrets[path] = history
        return history.metadata(history.add(values))

    def delete(self, path: str, numbers: Iterable[int] = ()) -> None:
        """Delete versions, by default the current one, so that they can be brought back."""
        history = self.secrets.get(path)
        for number in (tuple(numbers) or (history.current,)) if history else ():
            if history and (version := history.versions.get(number)) and version.is_there:
                version.deleted_s = time.time()

    def undelete(self, path: str, numbers: Iterable[int]) -> None:
        """Bring deleted versions back."""
        for version in self._those(path, numbers):
            version.deleted_s = None

    def destroy(self, path: str, numbers: Iterable[int]) -> None:
        """Forget the values of versions for good."""
        for version in self._those(path, numbers):
            version.values = None

    def forget(self, path: str) -> None:
        """Remove a secret with all versions."""
        self.secrets.pop(path, None)

    def keys(self, folder: str) -> list[str]:
        """Return the names of secrets and folders below a folder."""
        return below(self.secrets, folder)

    def _those(self, path: str, numbers: Iterable[int]) -> list[Version]:
        versions = self.secrets[path].versions if path in self.secrets else {}
        return [versions[number] for number in numbers if number in versions]


class PlainEngine:
    """KV version 1: a secret is what was written last."""

    version = 1

    def __init__(self) -> None:
        self.secrets: dict[str, Values] = {}

    def read(self, path: str) -> Values:
        """Return a secret.

        Raises:
            RefusedError: There is none.
        """
        if path not in self.secrets:
            raise missing()
        return self.secrets[path]

    def keys(self, folder: str) -> list[str]:
        """Return the names of secrets and folders below a folder."""
        return below(self.secrets, folder)


Engine = VersionedEngine | PlainEngine


def below(paths: Iterable[str], folder: str) -> list[str]:
    """Return the names directly below a folder, those of folders with a slash behind.

    Raises:
        RefusedError: There are none.
    """
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    rests = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
    names = {f"{name}/" if slash else name for name, slash, _ in (rest.partition("/") for rest in rests)}
    if not names:
        raise missing()
    return sorted(names)
