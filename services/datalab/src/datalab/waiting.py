"""Clients that follow operations or wait for one to end: a single watcher looks for all of them.

It sees what other processes do, too, and asks the store the same few questions however many follow.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog

from datalab.clock import now_us
from datalab.domain.asked import UNFINISHED, AskedOperation, ShownOperation, operation_id
from datalab.domain.news import News, deleted, ended, news_of
from datalab.listing import Shows
from datalab.wire.errors import RefusedError
from shared.errors import PermanentError, TransientError
from shared.state import Between, Collection, OneOf, Where

AT_MOST_S = 60.0
"""Proxies commonly cut what is silent for longer."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5
SHORTEST_PAUSE_S = 0.05
REST = 4
"""Times as long as a look took, at least, until the next that nobody asked for."""
OF_ONE_USER = 16
ALTOGETHER = 512
SEEN_LATE_US = 120 * 1_000_000
"""How long after its end an operation may come to be seen: clocks differ, and one that asks for what is
computed already ends, by its document, when it was asked for."""
TOLD_AT_ONCE = 200
"""Operations after which other requests get their turn."""
UNFINISHED_STATES = OneOf(UNFINISHED)

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Follower:
    """Somebody who hears what is new of a session's operations: of each the newest, however late they ask."""

    owner: str
    session: int
    number: int | None = None
    """The only operation that counts; None: all of the session."""
    unfinished: set[int] = field(default_factory=set)
    """What had not ended when it was told last."""
    _waiting: dict[int, News] = field(default_factory=dict)
    _heard: dict[int, News] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, news: News) -> None:
        """Have it hear this, unless it is none for it."""
        if news.session != self.session or self.number not in (None, news.number):
            return
        last = self._waiting.get(news.number) or self._heard.get(news.number)
        if new := news.after(last):
            self._waiting[news.number] = new
            (self.unfinished.discard if new.is_last else self.unfinished.add)(news.number)
            self._woken.set()

    async def next(self) -> News:
        """Return what is new, when there is something."""
        while not self._waiting:
            self._woken.clear()
            await self._woken.wait()
        news = self._waiting.pop(next(iter(self._waiting)))
        self._heard[news.number] = news
        return news


@dataclass(slots=True)
class Waiting:
    """Looks as long as somebody follows or waits: so many at most, and so many of one user."""

    asked: Collection[AskedOperation]
    operations: Shows
    draining: asyncio.Event
    """Set when the service ends: nobody waits any longer."""
    _followers: set[Follower] = field(default_factory=set)
    _of: Counter[str] = field(default_factory=Counter)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from a look at the store until it is told: nobody hears what is older than what they heard."""
    _seen: set[tuple[str, int]] = field(default_factory=set)
    """Of what ended lately, what was told."""

    def stir(self) -> None:
        """Look soon: something was done just now."""
        self._stirred.set()

    def check_room(self, owner: str) -> None:
        """Return where one more may follow.

        Raises:
            RefusedError: Too many do.
        """
        if len(self._followers) >= ALTOGETHER:
            raise RefusedError("Too many follow already.", status=503, headers={"Retry-After": "30"})
        if self._of[owner] >= OF_ONE_USER:
            message = f"You follow {OF_ONE_USER} times already: end one of those."
            raise RefusedError(message, status=429, headers={"Retry-After": "30"})

    @contextmanager
    def follower(self, owner: str, session: int, number: int | None = None) -> Iterator[Follower]:
        """Give somebody what is new while the block runs."""
        follower = Follower(owner, session, number)
        self._followers.add(follower)
        self._of[owner] += 1
        self.stir()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            self._of[owner] -= 1
            if not self._of[owner]:
                del self._of[owner]

    async def catch_up(self, follower: Follower) -> None:
        """Tell somebody how everything is now."""
        async with self._turn:
            if follower.number is not None:
                self._tell([follower], await self._now(follower.number, follower.session))
                return
            found = [document.body async for document in self.asked.each({"session": follower.session})]
            for start in range(0, len(found), TOLD_AT_ONCE):
                self._tell([follower], await self._news(found[start : start + TOLD_AT_ONCE]))
                await asyncio.sleep(0)

    async def until_ended(
        self,
        operation: AskedOperation,
        look: Callable[[], Awaitable[ShownOperation]],
        within_s: float,
    ) -> ShownOperation:
        """Return the operation when it has ended, or as it is after ``within_s``, or where too many wait."""
        shown = await look()
        if shown.state.is_final or within_s <= 0 or self._is_full(operation.owner):
            return shown
        with self.follower(operation.owner, operation.session, operation.number) as follower:
            end = asyncio.create_task(self._end(follower), name="wait for an operation")
            draining = asyncio.create_task(self.draining.wait())
            try:
                await asyncio.wait(
                    (end, draining), timeout=min(within_s, AT_MOST_S), return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                end.cancel()
                draining.cancel()
                await asyncio.gather(end, draining, return_exceptions=True)
        return await look()

    async def run(self) -> None:
        """Look whenever somebody follows, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            if self._stirred.is_set():
                self._stirred.clear()
                pause_s = FIRST_PAUSE_S
            if self._followers:
                began_s = time.monotonic()
                await self._try_to_look()
                took_s = time.monotonic() - began_s
                await asyncio.sleep(max(SHORTEST_PAUSE_S, took_s))
                pause_s = max(pause_s, REST * took_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s if self._followers else None):
                    await self._stirred.wait()
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    async def _end(self, follower: Follower) -> None:
        await self.catch_up(follower)
        while not (await follower.next()).is_last:
            pass

    def _is_full(self, owner: str) -> bool:
        try:
            self.check_room(owner)
        except RefusedError:
            return True
        return False

    async def _try_to_look(self) -> None:
        try:
            async with self._turn:
                await self._look(tuple(self._followers))
        except TransientError as error:
            log.warning("state.unavailable", error=str(error))
        except PermanentError:  # what cannot be read must not keep the others waiting
            log.exception("operations.unreadable")

    async def _look(self, followers: Sequence[Follower]) -> None:
        owners = OneOf(tuple({follower.owner for follower in followers}))
        sessions = {follower.session for follower in followers}
        where: Where = {"owner": owners, "state": UNFINISHED_STATES}
        unfinished = {one.body.number: one.body async for one in self.asked.each(where)}
        lately, seen = await self._ended_lately(owners)
        known = unfinished.keys() | lately.keys()
        told = {(number, one.session) for one in followers for number in one.unfinished}
        found = [one for one in (unfinished | lately).values() if one.session in sessions]
        news = await self._news(found)
        for number, session in told:
            if number not in known:
                news += await self._now(number, session)
        self._tell(followers, news)
        self._seen = seen

    async def _ended_lately(self, owners: OneOf) -> tuple[dict[int, AskedOperation], set[tuple[str, int]]]:
        """Return what ended and was not told yet, and the versions of all that ended lately."""
        found: dict[int, AskedOperation] = {}
        seen: set[tuple[str, int]] = set()
        where: Where = {"owner": owners, "ended_us": Between(low=now_us() - SEEN_LATE_US)}
        cursor: str | None = None
        while True:
            page = await self.asked.store.find(self.asked.spec.name, where, after=cursor)
            seen.update(page.versions)
            for place, version in enumerate(page.versions):
                if version not in self._seen:
                    operation = self.asked.typed(page.records[place]).body
                    found[operation.number] = operation
            if (cursor := page.cursor) is None:
                return found, seen

    async def _now(self, number: int, session: int) -> list[News]:
        """Return how an operation is of which it is not known whether it is still there."""
        document = await self.asked.get(operation_id(number))
        if document is None or document.body.session != session:
            return [deleted(number, session)]
        return await self._news([document.body])

    async def _news(self, operations: Sequence[AskedOperation]) -> list[News]:
        others = [one for one in operations if not one.state.is_final]
        shown = await self.operations.shown(others, base_url="") if others else []
        return [ended(one) for one in operations if one.state.is_final] + [news_of(one) for one in shown]

    @staticmethod
    def _tell(followers: Sequence[Follower], news: Sequence[News]) -> None:
        for follower in followers:
            for one in news:
                follower.tell(one)
