"""Memory that is used again: to get fresh pages from the system takes as long as to receive into them."""

from __future__ import annotations

from collections import deque
from ctypes import c_char
from weakref import finalize

BUFFER_BYTES = 1 << 20
_WORTH_A_BUFFER_BYTES = BUFFER_BYTES // 2


class Buffers:
    """Lends buffers, each of which comes back when nobody can see it any more."""

    def __init__(self, kept_at_most: int) -> None:
        self._free: deque[bytearray] = deque(maxlen=kept_at_most)

    def lent(self, size_bytes: int) -> memoryview:
        """Return memory for so many bytes; few of them hold no buffer, which may be needed elsewhere."""
        if not _WORTH_A_BUFFER_BYTES <= size_bytes <= BUFFER_BYTES:
            return memoryview(bytearray(size_bytes))
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(BUFFER_BYTES)
        seen = (c_char * size_bytes).from_buffer(buffer)  # what views are of; a bytearray tells nobody
        finalize(seen, self._free.append, buffer).atexit = False
        return memoryview(seen).cast("B")

    def clear(self) -> None:
        """Give back to the system what is not lent."""
        self._free.clear()
