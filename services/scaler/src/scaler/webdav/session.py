"""One plan at work: its folder is listed again and again, and images that have come to rest are scaled."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from scaler.domain.asks import RejectedError
from scaler.domain.candidates import Sighting, is_wanted, settled
from scaler.domain.raw_images import (
    ImageState,
    RawImage,
    done,
    gone,
    postponed,
    raw_image,
    raw_image_id,
    rejected,
    seen_again,
    stored,
    wait_s,
)
from scaler.metrics import IMAGE_SECONDS, IMAGES, WAITING
from scaler.webdav.breaker import Breaker
from scaler.webdav.scaling import GoneError, Scaling
from shared.dav import Dav, DavResource, LockedError, RefusedError
from shared.errors import ConflictError, NotFoundError, PermanentError, TransientError
from shared.state import Between, Change, Collection, Document, LeaseLostError, Order, Where
from shared.state.port import RevisionError
from shared.state.work import WorkQueue

MODE = "webdav"
KEPT_FOR = timedelta(days=7)
"""How long it is remembered what was done."""
TIDIED_EVERY_S = 3600.0

Outcome = Callable[[RawImage], Change[RawImage]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Look:
    """What the last listing showed."""

    at: datetime | None = None
    seen: int = 0
    moving: int = 0
    error: PermanentError | TransientError | None = None
    """Why there was none."""

    @property
    def trouble(self) -> str | None:
        """Return why there was none, in words."""
        return str(self.error) if self.error else None


@dataclass(slots=True)
class Session:
    """Work on one plan, until there is another."""

    dav: Dav
    scaling: Scaling
    images: Collection[RawImage]
    owner: str
    lease: timedelta
    at_once: int
    at_rest: timedelta
    may_begin: Callable[[], bool]
    """Whether work may be begun: nobody paused it, and the process does not end."""
    breaker: Breaker = field(default_factory=Breaker)
    look: Look = field(default_factory=Look)
    outcomes: Counter[str] = field(default_factory=Counter)
    in_hand: int = 0
    queue: WorkQueue[RawImage] = field(init=False)
    _before: dict[str, Sighting] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    """Ids of images that lie in the folder and were noted; the store need not be asked for them again."""
    _is_prepared: bool = False
    _tidied_at_s: float = float("-inf")

    def __post_init__(self) -> None:
        """Say which images wait: those of this plan whose time has come, longest due first."""
        self.queue = WorkQueue(
            self.images,
            waiting=self._due,
            order=Order("due_s"),
            owner=self.owner,
            lease=self.lease,
            at_once=self.at_once,
            left_behind={"place": self.place, "state": ImageState.WAITING.value},
            in_hand=self._counted,
            asked_in=lambda _: (),
        )

    @property
    def place(self) -> str:
        """Return the URL of the raw folder."""
        return self.scaling.plan.raw_url

    async def run(self) -> None:
        """Scale whatever is due, for ever; first what dead predecessors on this host left."""
        await self.queue.run(self._work)

    async def poll(self) -> None:
        """List the folder once, and note which images have come to rest."""
        if self.breaker.is_closed:
            return
        try:
            await self._prepare()
            asked_at = datetime.now(UTC)
            folder = await self.dav.folder(self.scaling.plan.raw)
        except NotFoundError:
            folder_name = self.scaling.plan.raw
            self._note_trouble(
                NotFoundError(f"there is no folder {folder_name} on the server (RAW_REMOTE_DIR)")
            )
        except (RefusedError, TransientError) as error:
            self.breaker.went_wrong(error)
            self._note_trouble(error)
        except PermanentError as error:
            self._note_trouble(error)
        else:
            self.breaker.went_well()
            await self._take_in(folder.files, asked_at)

    async def waiting(self) -> int:
        """Return how many images were noted and are not scaled yet."""
        return await self.images.count({"place": self.place, "state": ImageState.WAITING.value})

    async def _prepare(self) -> None:
        """Make the folder for scaled images, find out what the server honours, and clean up now and then."""
        target = self.scaling.plan.unsorted
        if not self._is_prepared:
            await self.dav.make_folders(target)
            habits = await self.dav.probe(target)
            log.info("webdav.server", url=self.place, risks=habits.risks)
            self._is_prepared = True
        if time.monotonic() - self._tidied_at_s > TIDIED_EVERY_S:
            await self.dav.make_folders(target)
            await self.dav.tidy(await self.dav.folder(target))
            self._tidied_at_s = time.monotonic()

    async def _take_in(self, files: Sequence[DavResource], now: datetime) -> None:
        prefixes = self.scaling.plan.prefixes
        seen = [
            Sighting(file.path, file.etag, file.size_bytes, file.modified_at)
            for file in files
            if file.size_bytes is not None and is_wanted(file.name, prefixes)
        ]
        still, moving = settled(seen, self._before, now=now, at_rest=self.at_rest)
        self._before = {one.path: one for one in seen}
        self.look = Look(at=now, seen=len(seen), moving=len(moving))
        ids = {raw_image_id(self.place, one): one for one in still}
        self._known &= ids.keys()
        for image_id, one in ids.items():
            if image_id not in self._known and await self._is_noted(image_id, one, now):
                self._known.add(image_id)
        await self._forget_rejected({raw_image_id(self.place, one) for one in seen})
        WAITING.labels(MODE).set(await self.waiting())
        self.queue.wake()

    async def _is_noted(self, image_id: str, seen: Sighting, now: datetime) -> bool:
        """Note an image; return whether it is one to scale, or one that cannot be."""
        document, is_new = await self.images.ensure(image_id, raw_image(self.place, seen, now))
        if not is_new:
            document = await self.images.update(image_id, partial(_again, now=now))
        return document.body.state in (ImageState.WAITING, ImageState.REJECTED)

    async def _forget_rejected(self, there: set[str]) -> None:
        """Forget rejected files that somebody took away or replaced."""
        where: Where = {"place": self.place, "state": ImageState.REJECTED.value}
        async for document in self.images.each(where):
            if document.id not in there:
                with suppress(RevisionError):  # somebody wants it tried again: it is found to be gone
                    await self.images.delete(document)

    def _note_trouble(self, error: PermanentError | TransientError) -> None:
        if self.look.trouble != str(error):
            log.warning("webdav.not_listed", url=self.place, error=str(error))
        self.look = replace(self.look, error=error)

    async def _due(self) -> Sequence[Where]:
        if not self.may_begin() or self.breaker.is_closed:
            return []
        now_s = Between(high=time.time())
        return [{"place": self.place, "state": ImageState.WAITING.value, "due_s": now_s}]

    @contextmanager
    def _counted(self, _document: Document[RawImage]) -> Iterator[None]:
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1

    async def _work(self, document: Document[RawImage]) -> None:
        began_s = time.monotonic()
        with bound_contextvars(image=document.body.path):
            try:
                name, outcome = await self._outcome(document)
            except asyncio.CancelledError:  # told to stop: another process shall not wait for the lease
                with suppress(LeaseLostError, TransientError):
                    await asyncio.shield(self.images.release(document.id, owner=self.owner))
                raise
            ended = await self.images.update(document.id, outcome, owner=self.owner)
        if ended.body.state in (ImageState.DONE, ImageState.GONE):
            self._known.discard(document.id)
        self.outcomes[name] += 1
        IMAGES.labels(MODE, name).inc()
        IMAGE_SECONDS.labels(MODE).observe(time.monotonic() - began_s)

    async def _outcome(self, document: Document[RawImage]) -> tuple[str, Outcome]:
        image = document.body
        try:
            result = await self.scaling.store(image)
        except Exception as error:  # noqa: BLE001 - told apart there
            return self._ill(error)
        if result is not None:
            now, event = datetime.now(UTC), self.scaling.told(image, result)
            await self.images.update(
                document.id,
                lambda body: Change(stored(body, result, now), [event]),
                owner=self.owner,
            )
        try:
            is_removed = await self.scaling.remove(image)
        except Exception as error:  # noqa: BLE001 - told apart there
            return self._ill(error)
        self.breaker.went_well()
        log.info("image.scaled", is_removed=is_removed)
        return "scaled" if is_removed else "replaced", partial(_ended, change=done)

    def _ill(self, error: Exception) -> tuple[str, Outcome]:
        """Return what becomes of an image with which something went wrong."""
        match error:
            case GoneError():
                log.info("image.gone", error=str(error))
                return "gone", partial(_ended, change=partial(_gone, reason=str(error)))
            case RejectedError():
                log.warning("image.rejected", code=error.code, error=str(error))
                return "rejected", partial(_rejected, code=error.code, reason=str(error))
            case RefusedError() | TransientError():
                self._note_failure(error)
            case ConflictError():  # somebody else is at it, too
                log.warning("image.postponed", error=str(error))
            case PermanentError():
                log.warning("image.refused", error=str(error))
                return "rejected", partial(_rejected, code="refused", reason=str(error))
            case _:  # a bug must not keep the other images waiting
                log.error("image.broken", exc_info=error)
        return "postponed", partial(_postponed, error=f"{error}" or type(error).__name__)

    def _note_failure(self, error: RefusedError | TransientError) -> None:
        log.warning("image.postponed", error=str(error))
        if not isinstance(error, LockedError):  # that one is about a single image
            self.breaker.went_wrong(error)


def _again(image: RawImage, now: datetime) -> Change[RawImage] | None:
    wanted = seen_again(image, now)
    return Change(wanted, expires_at=_NEVER) if wanted else None


def _ended(image: RawImage, change: Callable[[RawImage, datetime], RawImage]) -> Change[RawImage]:
    now = datetime.now(UTC)
    return Change(change(image, now), release=True, expires_at=now + KEPT_FOR)


def _gone(image: RawImage, now: datetime, *, reason: str) -> RawImage:
    return gone(image, reason, now)


def _rejected(image: RawImage, code: str, reason: str) -> Change[RawImage]:
    return Change(rejected(image, code, reason, datetime.now(UTC)), release=True)


def _postponed(image: RawImage, error: str) -> Change[RawImage]:
    later_s = wait_s(image.attempt + 1, random.random())  # noqa: S311 - no secret
    return Change(postponed(image, error, later_s, datetime.now(UTC)), release=True)


_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
