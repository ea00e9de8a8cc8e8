"""The object store goes away while results are stored, and comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datalab.domain.asked import State
from tests.datalab.execution.conftest import Lab, frames, opened, running_lab
from tests.support.archive import ArchiveSimulator
from tests.support.processes import free_port
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, s3_server


@pytest.mark.long
async def test_results_are_stored_when_the_object_store_is_back(
    tmp_path: Path, archive: ArchiveSimulator
) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "objects": "s3://results/flightline",
        "s3_endpoint": f"http://127.0.0.1:{port}",
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
        "s3_region": REGION,
        "retry_ladder": (timedelta(seconds=1),) * 30,
    }
    async with AsyncExitStack() as stack:
        server = ExitStack()
        server.enter_context(s3_server(tmp_path, port)).make_bucket("results")
        stack.callback(server.close)
        platform = await stack.enter_async_context(opened(tmp_path / "home", **settings))
        lab = await stack.enter_async_context(running_lab(platform, archive, workers=2))
        hers = await lab.ask("Sum", frames("frame1") | {"take_s": 2.0})
        his = await lab.ask("Sum", frames("frame2") | {"take_s": 2.0})
        await lab.until(his, State.IN_PROGRESS)

        server.close()
        await until_delayed(lab, hers.key)
        await lab.execution.operations.cancel(his)
        server.enter_context(s3_server(tmp_path, port)).make_bucket("results")

        assert (await lab.ended(hers, within_s=90)).state is State.COMPLETED
        assert (await lab.shown(his)).state is State.CANCELLED
        assert await lab.stored(hers) == [b"100 0"]


async def until_delayed(lab: Lab, key: str) -> None:
    """Wait until a computation is to be tried again."""
    async with asyncio.timeout(60):
        while not (await lab.computations.load(key)).body.delays:
            await asyncio.sleep(0.05)
