"""Those who look equally often look together."""

from __future__ import annotations

import asyncio

import pytest

from shared.rhythm import until_next_s

EVERY_S = 0.2


async def test_whoever_begins_when_wakes_with_the_others() -> None:
    clock = asyncio.get_running_loop().time
    due_s = []

    for _ in range(5):
        due_s.append(clock() + until_next_s(EVERY_S))
        await asyncio.sleep(0.013)

    apart_s = [(one - due_s[0]) / EVERY_S for one in due_s]
    assert [abs(one - round(one)) for one in apart_s] == pytest.approx([0] * 5, abs=0.01)


async def test_nobody_waits_much_longer_or_not_at_all() -> None:
    waits_s = []

    for _ in range(100):
        waits_s.append(until_next_s(EVERY_S))
        await asyncio.sleep(0.003)

    assert min(waits_s) > 0
    assert max(waits_s) <= 1.05 * EVERY_S
