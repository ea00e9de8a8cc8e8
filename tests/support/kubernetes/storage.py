"""What an API server keeps: objects by kind and name, their versions, and the events that made them so."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from uuid import uuid4

from tests.support.kubernetes.status import Json, RefusedError, check_metadata, expired, not_found, too_old

HISTORY = 20_000


@dataclass(frozen=True)
class Selector:
    """Labels that an object has to have."""

    wanted: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read ``key=value,…``."""
        pairs = [part.replace("==", "=").partition("=") for part in text.split(",") if part]
        if any(not equals for _, equals, _ in pairs):
            raise RefusedError(400, "BadRequest", f"unable to parse requirement: {text}")
        return cls(tuple((key, value) for key, _, value in pairs))

    def matches(self, obj: Json | None) -> bool:
        """Return whether the object has them."""
        labels = (obj or {}).get("metadata", {}).get("labels") or {}
        return obj is not None and all(labels.get(key) == value for key, value in self.wanted)


@dataclass(frozen=True)
class Change:
    """One write."""

    version: int
    plural: str
    before: Json | None
    after: Json | None
    """None: the object is gone."""

    def event(self, selector: Selector) -> tuple[str, Json] | None:
        """Return what a watch with this selector hears of it."""
        was, is_now = selector.matches(self.before), selector.matches(self.after)
        if is_now:
            return ("MODIFIED" if was else "ADDED"), self.after or {}
        if not was or self.before is None:
            return None
        gone = copy.deepcopy(self.before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        return "DELETED", gone


@dataclass
class Storage:
    """Objects of one namespace. What was stored is never changed in place: versions may be shared."""

    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    version: int = 1_000
    oldest: int = 0
    """Of what came before nothing is known any more."""
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY))
    on_change: list[Callable[[Change], None]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """By pod."""
    _snapshots: dict[str, tuple[int, list[Json]]] = field(default_factory=dict)
    _waiting: set[asyncio.Event] = field(default_factory=set)

    def create(self, plural: str, obj: Json) -> Json:
        """Add an object."""
        return self._write(plural, None, self.dry_run(plural, obj))

    def dry_run(self, plural: str, obj: Json) -> Json:
        """Return what would be added."""
        obj = copy.deepcopy(obj)
        metadata = obj.setdefault("metadata", {})
        check_metadata(plural, metadata)
        if (plural, metadata["name"]) in self.objects:
            raise RefusedError(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
        metadata.update(uid=str(uuid4()), creationTimestamp=_now(), generation=1)
        return obj

    def get(self, plural: str, name: str) -> Json:
        """Return an object."""
        if (plural, name) not in self.objects:
            raise not_found(plural, name)
        return self.objects[plural, name]

    def replace(self, plural: str, obj: Json) -> Json:
        """Put another object of the same name, if it was read as it is now."""
        before = self.get(plural, obj["metadata"]["name"])
        return self._changed(plural, before, copy.deepcopy(obj))

    def merge(self, plural: str, name: str, patch: Json) -> Json:
        """Apply a JSON merge patch (RFC 7386)."""
        before = self.get(plural, name)
        return self._changed(plural, before, _merged(before, patch))

    def change(self, plural: str, name: str, how: Callable[[Json], None]) -> Json:
        """Change an object as a controller does that always reads it first."""
        before = self.get(plural, name)
        after = copy.deepcopy(before)
        how(after)
        return self._changed(plural, before, after)

    def delete(self, plural: str, name: str) -> Json:
        """Delete an object, or mark it while somebody holds it by a finalizer."""
        before = self.get(plural, name)
        after = copy.deepcopy(before)
        after["metadata"].setdefault("deletionTimestamp", _now())
        return self._changed(plural, before, after)

    def selected(self, plural: str, selector: Selector) -> list[Json]:
        """Return the objects of a kind, by name."""
        found = [obj for (kind, _), obj in self.objects.items() if kind == plural and selector.matches(obj)]
        return sorted(found, key=lambda obj: str(obj["metadata"]["name"]))

    def page(
        self, plural: str, selector: Selector, limit: int, token: str
    ) -> tuple[int, list[Json], str | None, int]:
        """Return the version, items, token for more, and count of what is left, of one consistent list."""
        if token:
            if token not in self._snapshots:
                raise expired()
            version, items = self._snapshots[token]
        else:
            version, items = self.version, self.selected(plural, selector)
        if not limit or len(items) <= limit:
            return version, items, None, 0
        more = uuid4().hex
        self._snapshots[more] = (version, items[limit:])
        return version, items[:limit], more, len(items) - limit

    def since(self, plural: str, version: int) -> Iterator[Change]:
        """Yield what happened behind ``version``."""
        if version < self.oldest:
            raise too_old(version, self.oldest)
        newer = list(takewhile(lambda change: change.version > version, reversed(self.changes)))
        yield from (change for change in reversed(newer) if change.plural == plural)

    def compact(self) -> None:
        """Forget the past, as etcd does every five minutes."""
        self.changes.clear()
        self._snapshots.clear()
        self.version += 1
        self.oldest = self.version

    async def changed(self, within_s: float) -> None:
        """Return at the next change, or when the time is over."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(within_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(event)

    def _changed(self, plural: str, before: Json, after: Json) -> Json:
        metadata, was = after["metadata"], before["metadata"]
        name = was["name"]
        if metadata.get("resourceVersion", was["resourceVersion"]) != was["resourceVersion"]:
            raise RefusedError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified;'
                " please apply your changes to the latest version and try again",
            )
        metadata["resourceVersion"] = was["resourceVersion"]
        check_metadata(plural, metadata)
        added = set(metadata.get("finalizers") or []) - set(was.get("finalizers") or [])
        if "deletionTimestamp" in was and added:
            raise RefusedError(
                422, "Invalid", f'{plural} "{name}" is invalid: metadata.finalizers: Forbidden'
            )
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self._write(plural, before, None)
        return before if after == before else self._write(plural, before, after)

    def _write(self, plural: str, before: Json | None, after: Json | None) -> Json:
        self.version += 1
        if after is not None:
            after["metadata"]["resourceVersion"] = str(self.version)
            self.objects[plural, after["metadata"]["name"]] = after
        elif before is not None:
            del self.objects[plural, before["metadata"]["name"]]
        if len(self.changes) == self.changes.maxlen:
            self.oldest = self.changes[0].version
        change = Change(self.version, plural, before, after)
        self.changes.append(change)
        for hear in self.on_change:
            hear(change)
        for event in self._waiting:
            event.set()
        return after or before or {}


def _merged(target: Json, patch: Json) -> Json:
    merged = copy.deepcopy(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merged(merged[key] if isinstance(merged.get(key), dict) else {}, value)
        else:
            merged[key] = json.loads(json.dumps(value))
    return merged


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
