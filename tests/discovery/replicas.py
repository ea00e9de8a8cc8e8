"""Discovery as processes of their own, to be killed at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.zygote import Child, Zygote

READY_WITHIN_S = 60.0
LISTEN_AGAIN_S = 0.05
LOG_SHOWN_CHARACTERS = 4000


@dataclass
class Replica:
    """One process after the other on the same port."""

    port: int
    environment: Mapping[str, str]
    log: Path
    parent: Zygote
    _child: Child | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and return once it answers."""
        self.kill()  # what ran before
        self._child = self._begun()
        give_up_s = time.monotonic() + READY_WITHIN_S
        while not await self._answers():
            if self._child.is_over() or time.monotonic() > give_up_s:
                raise AssertionError(f"discovery did not start: {self.said()}")
            await asyncio.sleep(LISTEN_AGAIN_S)

    def _begun(self) -> Child:
        environment = {**self.environment, "DISCOVERY_PORT": str(self.port)}
        return self.parent.start("discovery.main:run", ["discovery"], environment, self.log)

    def kill(self) -> None:
        """End it as a power cut would, if it runs."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-LOG_SHOWN_CHARACTERS:]

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True
