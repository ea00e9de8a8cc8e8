"""One image from the raw folder to the unsorted one, step by step.

read → scale → write under a name that follows from the source → verify → note and tell → delete the original

Killed between any two steps, the next process begins anew: it finds its own copy by the name and the hash,
and adopts it. Only what was noted as verified does without a copy at that name: the mover may have moved it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import NAMESPACE_URL, uuid5

import structlog

from scaler.domain.asks import Asks, RejectedError, Scaled
from scaler.domain.naming import exif_date, scaled_name
from scaler.domain.raw_images import RawImage, Stored
from scaler.imaging import read_header
from scaler.metrics import BYTES
from scaler.ports import ScalesImages
from scaler.webdav.plan import Plan
from shared.budget import Budget
from shared.dav import AlreadyThereError, ChangedError, Dav, DavResource, ParentMissingError
from shared.errors import ConflictError, NotFoundError, PermanentError
from shared.events import Event, ImageScaled, new_event

NAMES_AT_MOST = 20
"""Names tried for one image; other files of that very hash in the name are somebody's joke."""
HEAD_BYTES = 64
"""So many first bytes tell whether a file is an image."""
SOURCE = "flightline/scaler"

log = structlog.get_logger(__name__)


class GoneError(PermanentError):
    """The image is not there any more, or was replaced before it was scaled."""


@dataclass(slots=True)
class Original:
    """What was read."""

    content: bytes = field(repr=False)
    sha256: str
    dated: datetime | None
    """When it was written, as the server says, else taken, as its Exif block says."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Content that one process holds: originals that were read, and scaled images on their way back."""

    originals: Budget
    results: Budget

    @classmethod
    def of(cls, size_bytes: int) -> Memory:
        """Return a third of the bytes for originals, the rest for what is made of them."""
        return cls(Budget(size_bytes // 3), Budget(size_bytes - size_bytes // 3))


@dataclass(frozen=True, slots=True)
class Scaling:
    """Takes images of one plan through all steps."""

    dav: Dav
    plan: Plan
    codecs: ScalesImages
    asks: Asks
    memory: Memory
    image_bytes_at_most: int

    async def store(self, image: RawImage) -> Stored | None:
        """Have a verified copy on the server; None: it was noted before that there is one.

        Raises:
            GoneError: There is nothing to scale any more.
            RejectedError: It cannot be scaled.
            TransientError: Not now.
        """
        self._check(image)
        async with self.memory.originals.lent(image.size_bytes) as reading:
            original = await self._read(image)
            if image.stored and image.stored.source_sha256 == original.sha256:
                log.info("image.known", target=image.stored.target)
                return None
            async with self.memory.results.lent(self._guess_bytes(image)) as writing:
                scaled = await self.codecs.scale(original.content, self.asks)
                original.content = b""
                reading.shrink(0)
                writing.shrink(len(scaled.content))
                return await self._written(image, original, scaled)

    async def remove(self, image: RawImage) -> bool:
        """Delete the original; return whether it was what was scaled, or was gone already.

        Raises:
            TransientError: Not now.
        """
        try:
            await self.dav.delete(image.path, etag=image.etag, size_bytes=image.size_bytes)
        except NotFoundError:
            return True
        except ChangedError:
            log.info("image.replaced")
            return False
        return True

    def _check(self, image: RawImage) -> None:
        if image.size_bytes == 0:
            raise RejectedError("zero-bytes", "the file is empty")
        if image.size_bytes > self.image_bytes_at_most:
            raise RejectedError(
                "too-large",
                f"the file has {image.size_bytes} bytes, more than SCALER_IMAGE_BYTES_AT_MOST"
                f" ({self.image_bytes_at_most})",
            )

    async def _read(self, image: RawImage) -> Original:
        """Read the original as it was listed."""
        parts, size_bytes, digest = [], 0, hashlib.sha256()
        try:
            async with self.dav.read(image.path, etag=image.etag, size_bytes=image.size_bytes) as chunks:
                async for chunk in chunks:
                    parts.append(chunk)
                    digest.update(chunk)
                    size_bytes += len(chunk)
                    if size_bytes > image.size_bytes:
                        break
                    if size_bytes - len(chunk) < HEAD_BYTES <= size_bytes:
                        _check_head(b"".join(parts))
        except (NotFoundError, ChangedError) as error:
            raise GoneError(str(error)) from error
        BYTES.labels("read").inc(size_bytes)
        if size_bytes != image.size_bytes:
            raise GoneError(f"{image.path} has other than the {image.size_bytes} bytes that were listed")
        content = b"".join(parts)
        return Original(content, digest.hexdigest(), image.modified_at or exif_date(content))

    def _guess_bytes(self, image: RawImage) -> int:
        """Return about how large the scaled image will be, rather too much."""
        return int(image.size_bytes * max(1.0, self.asks.factor**2))

    async def _written(self, image: RawImage, original: Original, scaled: Scaled) -> Stored:
        """Write the scaled image, or find that a predecessor did."""
        await self._check_unchanged(image)
        for attempt in range(1, NAMES_AT_MOST + 1):
            name = scaled_name(image.name, original.sha256, original.dated, scaled.format, attempt)
            target = f"{self.plan.unsorted}/{name}".lstrip("/")
            if await self._is_at(target, scaled, image.modified_at):
                return Stored(
                    source_sha256=original.sha256,
                    target=target,
                    sha256=scaled.sha256,
                    size_bytes=len(scaled.content),
                    width=scaled.width,
                    height=scaled.height,
                )
        raise ConflictError(f"{NAMES_AT_MOST} names for {image.name} are taken by other files")

    async def _is_at(self, target: str, scaled: Scaled, modified_at: datetime | None) -> bool:
        """Return whether the scaled image stands there now, verified; False: something else does."""
        try:
            await self._write(target, scaled, modified_at)
        except AlreadyThereError:
            is_ours = await self.dav.stored_sha256(target) == scaled.sha256
            log.info("image.adopted" if is_ours else "image.name_taken", target=target)
            return is_ours
        BYTES.labels("written").inc(len(scaled.content))
        return True

    async def _write(self, target: str, scaled: Scaled, modified_at: datetime | None) -> DavResource:
        write = partial(
            self.dav.write_new, target, scaled.content, sha256=scaled.sha256, modified_at=modified_at
        )
        try:
            return await write()
        except ParentMissingError:
            await self.dav.make_folders(self.plan.unsorted)
            return await write()

    async def _check_unchanged(self, image: RawImage) -> None:
        """See that the original still stands: else another process was faster, or it was replaced."""
        try:
            there = await self.dav.look(image.path)
        except NotFoundError as error:
            raise GoneError(str(error)) from error
        if (there.etag, there.size_bytes) != (image.etag, image.size_bytes):
            raise GoneError(f"{image.path} was replaced while it was scaled")

    def told(self, image: RawImage, result: Stored) -> Event[ImageScaled]:
        """Return what to tell of a scaled image: the same event, however often it is found."""
        source, target = self.plan.uri(image.path), self.plan.uri(result.target)
        facts = f"scaler/{source}/{result.source_sha256}/{target}/{result.sha256}"
        data = ImageScaled(
            source=source,
            target=target,
            scale=self.asks.factor,
            width=result.width,
            height=result.height,
            sha256=result.sha256,
        )
        return new_event(SOURCE, data, event_id=str(uuid5(NAMESPACE_URL, facts)))


def _check_head(head: bytes) -> None:
    """Refuse what is no image before the rest of it is read; a header may go on behind these bytes."""
    try:
        read_header(head)
    except RejectedError as error:
        if error.code in ("not-an-image", "unsupported"):
            raise
