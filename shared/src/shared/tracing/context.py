"""W3C trace context: where in which trace something happens, and how that is written."""

from __future__ import annotations

import os
import random
import re
from typing import NamedTuple

_PATTERN = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 0x01

# Not the module's own generator, which others may seed; a forked process must not repeat its parent's ids.
_random = random.Random()  # noqa: S311 - ids, not secrets
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


class TraceContext(NamedTuple):
    """One span as others refer to it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    sampled: bool
    """Whether whoever collects spans collects those of this trace."""

    @property
    def traceparent(self) -> str:
        """Return it as the header, the CloudEvents attribute and the environment variable carry it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: object) -> TraceContext | None:
    """Return what a ``traceparent`` says; None: nothing that W3C knows, which is to be ignored."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None or (match[1] == "00" and match[5]):
        return None
    return TraceContext(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def next_context(parent: TraceContext | None, ratio: float) -> TraceContext:
    """Return the context of a span below ``parent``; without one, of a trace sampled by ``ratio``."""
    span_id = f"{_random.getrandbits(64) or 1:016x}"
    if parent is not None:
        return TraceContext(parent.trace_id, span_id, parent.sampled)
    return TraceContext(f"{_random.getrandbits(128) or 1:032x}", span_id, _random.random() < ratio)
