import asyncio
from collections.abc import AsyncIterator

import pytest

from odm_gateway.adapters.slots import Slots
from shared.errors import TransientError


async def chunks(*pieces: bytes, every_s: float = 0) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(every_s)


async def stored(slots: Slots, content: AsyncIterator[bytes], each_s: float = 0) -> bytes:
    async with slots.one(content) as arriving:
        taken = b""
        async for chunk in arriving:
            taken += chunk
            await asyncio.sleep(each_s)
        return taken


async def test_content_passes_as_it_is() -> None:
    assert await stored(Slots(), chunks(b"a", b"", b"bc")) == b"abc"
    assert await stored(Slots(), chunks()) == b""


async def test_no_more_are_stored_together_than_there_are_slots() -> None:
    slots, together, most = Slots(2), 0, 0

    async def one() -> None:
        nonlocal together, most
        async with slots.one(chunks(b"a")) as arriving:
            together += 1
            most = max(most, together)
            assert [chunk async for chunk in arriving] == [b"a"]
            await asyncio.sleep(0.01)
            together -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert (together, most) == (0, 2)


async def test_who_dawdles_is_given_up_when_others_wait() -> None:
    slots = Slots(1, slowest_bytes_per_s=1000, patience_s=0.2, look_every_s=0.05)
    dawdling = asyncio.create_task(stored(slots, chunks(*[b"x"] * 1000, every_s=0.05)))
    await asyncio.sleep(0.5)
    assert not dawdling.done()
    assert await stored(slots, chunks(b"quick")) == b"quick"
    with pytest.raises(TransientError, match="too slowly"):
        await dawdling


async def test_who_waits_for_our_disk_is_not_given_up() -> None:
    slots = Slots(1, slowest_bytes_per_s=1000, patience_s=0.05, look_every_s=0.02)
    slow_disk = asyncio.create_task(stored(slots, chunks(b"x", b"y"), each_s=0.3))
    await asyncio.sleep(0.05)
    assert await stored(slots, chunks(b"quick")) == b"quick"
    assert await slow_disk == b"xy"


async def test_who_leaves_while_it_waits_leaves_no_slot_taken() -> None:
    slots = Slots(1)
    async with slots.one(chunks(b"a")):
        waiting = asyncio.create_task(stored(slots, chunks(b"b")))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with asyncio.timeout(30):
        assert await stored(slots, chunks(b"c")) == b"c"


async def test_a_time_limit_of_the_content_stays_what_it_is() -> None:
    async def late() -> AsyncIterator[bytes]:
        yield b"a"
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await stored(Slots(), late())
