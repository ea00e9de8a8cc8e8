"""One image of a job: read, scaled, stored and verified, or rejected with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

import structlog

from scaler.domain.asks import MEDIA_TYPES, Asks, RejectedError, Scaled
from scaler.domain.jobs import Image, Job, base_key
from scaler.domain.pieces import Outcome
from scaler.jobs.reading import Content, ImageReader, shown_source
from scaler.jobs.telling import SERVICE
from scaler.metrics import BYTES, IMAGE_SECONDS, IMAGES
from scaler.ports import ScalesImages
from shared.budget import Budget
from shared.errors import InvalidInputError
from shared.events import Event, ImageScaled, new_event
from shared.objects.port import ObjectStore

UNKNOWN_BYTES = 16 << 20
"""Taken for the size of an image that nobody has told."""

log = structlog.get_logger()


def held_bytes(size_bytes: int, asks: Asks) -> int:
    """Return about how much an image takes while it is scaled: itself and the result, both packed."""
    return size_bytes + int(size_bytes * max(1.0, asks.factor**2))


@dataclass(frozen=True, slots=True)
class ImageScaler:
    """Scales the images of jobs."""

    objects: ObjectStore
    reader: ImageReader
    codecs: ScalesImages
    budget: Budget

    async def scale(self, job_id: str, job: Job, image: Image) -> Outcome:
        """Scale an image and store it; once more is the same.

        Raises:
            TransientError: It could not be read or stored this time.
        """
        key = f"{base_key(job_id, job)}/files/{image.path}"
        outcome = await self._outcome(key, job, image)
        IMAGES.labels(job.kind.value, "scaled" if outcome.is_scaled else "rejected").inc()
        BYTES.labels("read").inc(outcome.source_bytes)
        BYTES.labels("written").inc(outcome.size_bytes)
        return outcome

    async def _outcome(self, key: str, job: Job, image: Image) -> Outcome:
        try:
            async with self.budget.lent(held_bytes(image.size_bytes or UNKNOWN_BYTES, job.asks)):
                with IMAGE_SECONDS.labels(job.kind.value).time():
                    content = await self.reader.read(image)
                    scaled = await self.codecs.scale(content.data, job.asks)
                    return await self._stored(key, image, content, scaled)
        except RejectedError as error:
            return _rejected(image, error.code, str(error))
        except InvalidInputError as error:  # no key can have this name
            return _rejected(image, "unreadable", str(error))

    def told(self, job: Job, image: Image, outcome: Outcome) -> tuple[Event[ImageScaled], ...]:
        """Return what to tell of an outcome, under a name that is the same however often it comes to that."""
        if outcome.key is None or outcome.sha256 is None:
            return ()
        target = self.objects.uri(outcome.key)
        data = ImageScaled(
            source=self.objects.uri(image.key) if image.key else shown_source(image.uri),
            target=target,
            scale=job.asks.factor,
            width=outcome.width,
            height=outcome.height,
            sha256=outcome.sha256,
            flight_id=job.flight_id or None,
        )
        name = str(uuid5(NAMESPACE_URL, f"scaler/image-scaled/{target}/{outcome.sha256}"))
        cause = job.requests[-1] if job.requests else None
        return (new_event(SERVICE, data, event_id=name, cause=cause),)

    async def _stored(self, key: str, image: Image, content: Content, scaled: Scaled) -> Outcome:
        stored = await self.objects.put(
            key,
            scaled.content,
            size_bytes=len(scaled.content),
            sha256=scaled.sha256,
            content_type=MEDIA_TYPES[scaled.format],
        )
        return Outcome(
            path=image.path,
            source_bytes=len(content.data),
            source_sha256=content.sha256,
            key=key,
            size_bytes=stored.size_bytes,
            sha256=scaled.sha256,
            width=scaled.width,
            height=scaled.height,
            notes=scaled.notes,
        )


def _rejected(image: Image, code: str, reason: str) -> Outcome:
    log.warning("image.rejected", path=image.path, code=code, reason=reason)
    return Outcome(
        path=image.path, source_bytes=image.size_bytes, source_sha256=image.sha256, code=code, reason=reason
    )
