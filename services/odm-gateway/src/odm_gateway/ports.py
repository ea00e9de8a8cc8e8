"""Whom the gateway needs: an engine that turns images into products."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from odm_gateway.domain.job_manifest import JobManifest
from shared.events import Option


@dataclass(frozen=True, slots=True)
class Job:
    """What an engine is asked to do."""

    task_id: str
    name: str
    """Whoever asks for the same work finds what another one began."""
    images: str
    """Key of the images' prefix in the object store."""
    manifest: str | None
    options: tuple[Option, ...]
    products: str
    """Key prefix that the products are to be stored under."""
    outputs: tuple[str, ...] = ()
    """Paths wanted in the archive; empty: the usual ones."""
    image_count: int = 0
    total_bytes: int = 0
    tenant: str = ""
    is_submodel: bool = False
    """Whether another job waits for it."""
    traceparent: str | None = None
    """The span that follows it."""

    @property
    def told(self) -> JobManifest:
        """Return what a process that does the job, or a part of it, has to know."""
        return JobManifest(
            job=self.name,
            task_id=self.task_id,
            images_prefix=self.images,
            manifest=self.manifest,
            products=self.products,
            options=self.options,
            outputs=self.outputs,
        )


@dataclass(frozen=True, slots=True)
class Progressed:
    """The job is so far."""

    stage: str
    percent: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the job's console."""

    text: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The job ended well, and every asset lies in the object store."""

    assets: tuple[str, ...]
    """Paths below the job's products."""
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The job cannot be done; the message is for its user."""

    message: str


EngineEvent = Progressed | Line | Completed | Failed


class Engine(Protocol):
    """Where jobs run."""

    def follow(self, job: Job) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """Attach to the job of this name, starting it where it does not run; hear of it from its beginning.

        The last event is ``Completed`` or ``Failed``. Leaving the block early gives up neither the job nor
        what it has done: following it again goes on.

        Raises:
            TransientError: The engine, or the object store, cannot be reached now.
        """

    async def cancel(self, job: Job) -> None:
        """Stop the job, if it runs; its followers hear no more of it."""

    async def remove(self, job: Job) -> None:
        """Delete what the engine itself keeps of the job; products in the object store are not touched."""
