"""Looking at the queues, without declaring or taking anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from flightline.overview.model import QueueLook
from flightline.pipeline import SUBSCRIPTIONS
from shared.errors import PermanentError
from shared.messaging.bus import open_transport
from shared.messaging.port import UNROUTED_QUEUE, Transport
from shared.settings import PlatformSettings

START_WITHIN = timedelta(seconds=2)
REASONS_OF_AT_MOST = 200
"""Letters are read for their reasons only where they are few: RabbitMQ shows them to one at a time."""


@dataclass
class Queues:
    """What is known of the queues; one look after the other may use it."""

    settings: PlatformSettings
    _reasons: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    """By queue: how many letters there were, and why."""

    async def look(self) -> tuple[Sequence[QueueLook], int]:
        """Return what lies in every queue, and how many messages nobody listens to.

        Raises:
            TransientError: The broker does not answer.
            PermanentError: It refuses us.
        """
        async with open_transport(self.settings.bus, start_within=START_WITHIN) as transport:
            names = [subscription.queue for subscription in SUBSCRIPTIONS]
            looks = await asyncio.gather(*(self._look(transport, name) for name in names))
            unrouted = await _unrouted(transport)
        return looks, unrouted

    async def _look(self, transport: Transport, name: str) -> QueueLook:
        try:
            counts = await transport.counts(name, self.settings.retry_ladder)
        except PermanentError:
            return QueueLook(name, None)
        return QueueLook(name, counts, await self._why(transport, name, counts.dead))

    async def _why(self, transport: Transport, name: str, dead: int) -> dict[str, int]:
        known, reasons = self._reasons.get(name, (0, {}))
        if dead > REASONS_OF_AT_MOST:
            reasons = {}
        elif known != dead:
            async with aclosing(transport.dead_letters(name)) as letters:
                reasons = dict(Counter([letter.death.reason async for letter in letters]).most_common())
        self._reasons[name] = (dead, reasons)
        return reasons


async def _unrouted(transport: Transport) -> int:
    try:
        return await transport.depth(UNROUTED_QUEUE)
    except PermanentError:
        return 0
