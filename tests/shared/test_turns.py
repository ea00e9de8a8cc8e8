"""Few have a turn at once, some wait, and the others are told that there are too many."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import TransientError
from shared.turns import Turns


async def test_so_many_at_once_so_many_wait_and_the_others_are_sent_away() -> None:
    turns, ends, at_it = Turns(2, 5, "Too many."), asyncio.Event(), 0

    async def take() -> None:
        nonlocal at_it
        async with turns.turn():
            at_it += 1
            await ends.wait()
            at_it -= 1

    async with asyncio.TaskGroup() as group:
        takers = [group.create_task(take()) for _ in range(5)]
        await asyncio.sleep(0)
        assert at_it == 2
        with pytest.raises(TransientError, match="Too many"):
            await take()
        takers[-1].cancel()  # who gives up leaves their place
        await asyncio.wait(takers[-1:])
        group.create_task(take())
        await asyncio.sleep(0)
        ends.set()
    assert at_it == 0


async def test_an_error_gives_the_turn_back() -> None:
    turns = Turns(1, 1, "Too many.")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with turns.turn():
                raise ZeroDivisionError
