"""So many bytes of memory, lent to whoever holds content for a while."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Loan:
    """Bytes that were lent; what turns out not to be needed can be given back early."""

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget = budget
        self.size_bytes = size_bytes

    def shrink(self, size_bytes: int) -> None:
        """Keep ``size_bytes`` at most and give the rest back."""
        back_bytes = max(0, self.size_bytes - max(0, size_bytes))
        self.size_bytes -= back_bytes
        self._budget.take_back(back_bytes)


class Budget:
    """So many bytes, lent in the order of asking; what is larger than all of it waits for all of it."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._free_bytes = size_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free_bytes(self) -> int:
        """Return how many bytes are not lent."""
        return self._free_bytes

    @asynccontextmanager
    async def lent(self, size_bytes: int) -> AsyncIterator[Loan]:
        """Wait for bytes, and keep them inside the block."""
        loan = Loan(self, min(size_bytes, self.size_bytes))
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((loan.size_bytes, turn))
        self._lend()
        try:
            await turn
            yield loan
        finally:
            if turn.done() and not turn.cancelled():
                loan.shrink(0)
            self._lend()

    def take_back(self, size_bytes: int) -> None:
        """Have bytes again that were lent; for loans."""
        self._free_bytes += size_bytes
        self._lend()

    def _lend(self) -> None:
        while self._waiting:
            wanted_bytes, turn = self._waiting[0]
            if not turn.done() and wanted_bytes > self._free_bytes:
                return
            self._waiting.popleft()
            if not turn.done():
                self._free_bytes -= wanted_bytes
                turn.set_result(None)
