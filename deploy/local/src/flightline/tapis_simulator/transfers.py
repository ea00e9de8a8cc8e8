"""Transfers between systems: a task, a parent for each element, a child for each file."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal[
    "ACCEPTED", "STAGED", "IN_PROGRESS", "COMPLETED", "CANCELLED", "FAILED", "FAILED_OPT", "PAUSED"
]
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "FAILED_OPT")
TRIES = 3
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(slots=True)
class Step:
    """One thing to copy, a file or all that an element names, and how far it is."""

    source_uri: str
    destination_uri: str
    status: Status = "ACCEPTED"
    total_bytes: int = 0
    bytes_done: int = 0
    retries: int = 0
    error: str | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None

    def begin(self) -> None:
        """Note that work has begun."""
        self.status, self.started = "IN_PROGRESS", datetime.now(UTC)

    def end(self, status: Status, error: str | None = None) -> None:
        """Note how it ended, unless that is known already."""
        if self.status not in ENDED:
            self.status, self.error, self.ended = status, error, datetime.now(UTC)

    def document(self) -> dict[str, Any]:
        """Return what parents and children have in common."""
        return {
            "uuid": self.uuid,
            "sourceURI": self.source_uri,
            "destinationURI": self.destination_uri,
            "status": self.status,
            "totalBytes": self.total_bytes,
            "bytesTransferred": self.bytes_done,
            "errorMessage": self.error,
            **times(self.created, self.started, self.ended),
        }


@dataclass(slots=True)
class Element(Step):
    """What one element of a request names; the transfer outlives its failure if it is optional."""

    is_optional: bool = False
    children: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Transfer:
    """One task."""

    owner: str
    elements: list[Element]
    tag: str | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: Status = "ACCEPTED"
    error: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    work: asyncio.Task[None] | None = None

    @property
    def steps(self) -> list[Step]:
        """Return the files of all elements."""
        return [child for element in self.elements for child in element.children]

    def cancel(self) -> None:
        """Stop, and leave what is copied."""
        if self.status in ENDED:
            return
        self.status, self.ended = "CANCELLED", datetime.now(UTC)
        for step in (*self.elements, *self.steps):
            step.end("CANCELLED")
        if self.work is not None:
            self.work.cancel()

    def document(self, tenant: str, *, with_summary: bool, with_details: bool) -> dict[str, Any]:
        """Return the task as the API tells it."""
        document: dict[str, Any] = {
            "uuid": self.uuid,
            "tenantId": tenant,
            "username": self.owner,
            "tag": self.tag,
            "status": self.status,
            "errorMessage": self.error,
            **times(self.created, self.started, self.ended),
        }
        if with_summary:
            document |= self._summary()
        if with_details:
            document["parentTasks"] = [
                {**element.document(), "children": _children(element.children)} for element in self.elements
            ]
        return document

    def _summary(self) -> dict[str, int]:
        steps = self.steps
        return {
            "totalTransfers": len(steps),
            "completeTransfers": sum(step.status == "COMPLETED" for step in steps),
            "estimatedTotalBytes": sum(step.total_bytes for step in steps),
            "totalBytesTransferred": sum(step.bytes_done for step in steps),
        }


class Transfers(dict[str, Transfer]):
    """All tasks by id."""

    async def stop(self) -> None:
        """Stop whatever is going on."""
        working = [transfer.work for transfer in self.values() if transfer.work is not None]
        for work in working:
            work.cancel()
        await asyncio.gather(*working, return_exceptions=True)


def times(created: datetime, started: datetime | None, ended: datetime | None) -> dict[str, str | None]:
    """Return the three times of anything here."""
    return {"created": _written(created), "startTime": _written(started), "endTime": _written(ended)}


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime(_TIME)


def _children(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [{**step.document(), "retries": step.retries, "dir": False} for step in steps]
