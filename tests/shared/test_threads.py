"""What is opened in a thread is closed, whoever waits for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from shared.threads import entered


async def test_what_is_opened_when_nobody_waits_any_more_is_closed(tmp_path: Path) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    opened: list[IO[bytes]] = []

    def slowly() -> IO[bytes]:
        begun.set()
        may_go_on.wait(30)
        opened.append((tmp_path / "file").open("xb"))
        return opened[0]

    async def use() -> None:
        with ExitStack() as stack:
            await entered(stack, slowly)
            pytest.fail("it was cancelled before")

    using = asyncio.create_task(use())
    await asyncio.to_thread(begun.wait, 30)
    using.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert opened[0].closed
