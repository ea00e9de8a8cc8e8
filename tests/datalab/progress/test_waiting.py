"""One watcher for all who follow: what it asks, and what each of them hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from datalab.clock import now_us
from datalab.collections import OPERATIONS
from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.domain.computations import Computation
from datalab.domain.news import News, deleted
from datalab.execution.collections import COMPUTATIONS
from datalab.execution.links import Links
from datalab.execution.showing import Showing
from datalab.listing import Shows
from datalab.waiting import ALTOGETHER, OF_ONE_USER, Follower, Waiting
from datalab.wire.errors import RefusedError
from shared.messaging.background import background
from shared.objects.file import FileObjects
from shared.state import Collection
from shared.state.open import open_store

OWNERS = 40


@dataclass
class Counting:
    """Shows operations, and counts how often it is asked to."""

    showing: Showing
    asked: list[int] = field(default_factory=list)

    async def shown(self, operations: Sequence[AskedOperation], *, base_url: str) -> list[ShownOperation]:
        """Return the operations as they are now."""
        self.asked.append(len(operations))
        return await self.showing.shown(operations, base_url)


@asynccontextmanager
async def waiting(folder: Path) -> AsyncIterator[tuple[Waiting, Counting]]:
    async with not_looking(folder) as (found, shows), background(found.run()):
        yield found, shows


@asynccontextmanager
async def not_looking(folder: Path) -> AsyncIterator[tuple[Waiting, Counting]]:
    async with open_store(f"sqlite://{folder}/state.db") as store:
        await store.declare(OPERATIONS, COMPUTATIONS)
        links = Links(FileObjects(folder / "objects"), SecretStr("key"))
        shows = Counting(Showing(Collection(store, COMPUTATIONS, Computation), links))
        watched: Shows = shows
        yield Waiting(Collection(store, OPERATIONS, AskedOperation), watched, asyncio.Event()), shows


def operation(number: int, owner: str = "ann", **more: Any) -> AskedOperation:
    return AskedOperation(
        number=number, session=number, owner=owner, name="Median", input_data={}, created_us=now_us(),
        key=f"key{number}", **more,
    )  # fmt: skip


async def heard(follower: Follower) -> News:
    async with asyncio.timeout(20):
        return await follower.next()


async def test_what_is_deleted_before_the_first_look_is_told(tmp_path: Path) -> None:
    async with not_looking(tmp_path) as (found, _):
        computation = Computation(
            key="key1", name="Median", version=1, inputs={}, files=(), created_us=now_us()
        )
        await Collection(found.asked.store, COMPUTATIONS, Computation).insert("key1", computation)
        document = await found.asked.insert("o1", operation(1))
        with found.follower("ann", 1) as follower:
            await found.catch_up(follower)
            assert (await heard(follower)).state is State.PENDING
            await found.asked.delete(document)
            async with background(found.run()):
                assert await heard(follower) == deleted(1, 1)


async def test_many_followers_cost_no_more_questions_than_one(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (found, shows), AsyncExitStack() as stack:
        for number in range(1, OWNERS + 1):
            await found.asked.insert(f"o{number}", operation(number, f"user{number}"))
        followers = [
            stack.enter_context(found.follower(f"user{number}", number)) for number in range(1, OWNERS + 1)
        ]
        told = [await heard(follower) for follower in followers]

        assert [(one.number, one.session) for one in told] == [(n, n) for n in range(1, OWNERS + 1)]
        assert shows.asked[-1] == OWNERS
        assert len(shows.asked) < OWNERS / 2


async def test_each_hears_only_of_the_own_session(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (found, _):
        with found.follower("ann", 1) as mine, found.follower("bob", 2) as other:
            await found.asked.insert("o1", operation(1, "ann", state=State.FAILED, ended_us=now_us()))
            await found.asked.insert("o2", operation(2, "bob", state=State.COMPLETED, ended_us=now_us()))

            assert (await heard(mine)).number == 1
            assert (await heard(other)).number == 2


async def test_whoever_listens_late_hears_the_newest_only() -> None:
    follower = Follower("ann", 1)

    for done in (0.1, 0.2, 0.3):
        follower.tell(News(1, 1, State.IN_PROGRESS, done))
    follower.tell(News(2, 1, State.PENDING))

    assert [await heard(follower), await heard(follower)] == [
        News(1, 1, State.IN_PROGRESS, 0.3),
        News(2, 1, State.PENDING),
    ]


async def test_nobody_looks_where_nobody_follows(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (found, shows):
        await found.asked.insert("o1", operation(1))
        with found.follower("ann", 1) as follower:
            await heard(follower)
        await asyncio.sleep(0.2)
        looks = len(shows.asked)
        await asyncio.sleep(1.2)

        assert len(shows.asked) <= looks + 1


async def test_so_many_may_follow_and_no_more(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (found, _), AsyncExitStack() as stack:
        for number in range(ALTOGETHER):
            stack.enter_context(found.follower(f"user{number // OF_ONE_USER}", 1))

        with pytest.raises(RefusedError) as refused:
            found.check_room("another")

    assert refused.value.status == 503
    found.check_room("another")


async def test_a_long_poll_without_room_is_answered_at_once(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (found, _), AsyncExitStack() as stack:
        for _number in range(OF_ONE_USER):
            stack.enter_context(found.follower("ann", 1))
        one = operation(1)

        async def look() -> ShownOperation:
            return ShownOperation(one, one.state, 0.0, "", None)

        async with asyncio.timeout(20):
            shown = await found.until_ended(one, look, 60.0)

    assert shown.state is State.PENDING


@pytest.mark.parametrize(
    ("last", "news", "told"),
    [
        (None, News(1, 1, State.PENDING), 0.0),
        (News(1, 1, State.PENDING), News(1, 1, State.PENDING), None),
        (News(1, 1, State.IN_PROGRESS, 0.5), News(1, 1, State.IN_PROGRESS, 0.25), None),
        (News(1, 1, State.IN_PROGRESS, 0.5), News(1, 1, State.PENDING, 0.25), 0.5),
        (News(1, 1, State.IN_PROGRESS, 0.5), News(1, 1, State.FAILED, 0.25, "no WCS"), 0.5),
        (News(1, 1, State.FAILED, 0.5), News(1, 1, State.PENDING, 0.0), 0.0),
        (News(1, 1, State.IN_PROGRESS, 0.5), News(1, 1, None), 0.0),
    ],
)
def test_progress_goes_backwards_only_where_an_operation_begins_anew(
    last: News | None, news: News, told: float | None
) -> None:
    new = news.after(last)

    assert (new.progress if new else None) == told
