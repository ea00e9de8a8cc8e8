"""A process that keeps projects, for tests that kill it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from discovery.adapters.webodm import open_webodm
from discovery.collections import COUNTERS, FLIGHTS, PROJECTS
from shared.platform import open_platform
from shared.settings import PlatformSettings
from tests.support.project_bench import QUICK, parts


async def keep(home: Path, url: str) -> None:
    """Keep projects until killed."""
    async with (
        open_platform(PlatformSettings(home=home), ()) as on,
        open_webodm(url, "pilot", SecretStr("pilot's"), timeouts=QUICK) as webodm,
    ):
        await on.store.declare(PROJECTS, COUNTERS, FLIGHTS)
        _, keeper, queue = parts(on, webodm, "webodm")
        await queue.run(keeper.attend)


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1]), sys.argv[2]))
