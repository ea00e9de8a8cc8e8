"""Spans: what is done within the current one belongs to it; where nobody collects, only ids are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

from structlog.contextvars import get_contextvars

from shared.tracing.context import TraceContext, next_context

Value = str | int | float | bool


class Kind(Enum):
    """Which side of a hop a span is, in OpenTelemetry's words."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


@dataclass(frozen=True, slots=True)
class Finished:
    """A span that is over, for whoever collects."""

    name: str
    kind: Kind
    service: str
    context: TraceContext
    parent: TraceContext | None
    links: tuple[TraceContext, ...]
    attributes: dict[str, Value]
    error: str | None
    started_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class Collecting:
    """Who is given finished spans, and which share of traces that begin here is sampled."""

    take: Callable[[Finished], None] | None = None
    """Must neither wait nor raise."""
    ratio: float = 1.0


_current: ContextVar[TraceContext | None] = ContextVar("flightline_span", default=None)
_collecting = Collecting()


def current() -> TraceContext | None:
    """Return the span that this task is in."""
    return _current.get()


def traceparent() -> str | None:
    """Return the ``traceparent`` of the span that this task is in."""
    here = _current.get()
    return here.traceparent if here else None


def is_collecting() -> bool:
    """Return whether somebody is given finished spans."""
    return _collecting.take is not None


@contextmanager
def collecting(take: Callable[[Finished], None] | None, ratio: float) -> Iterator[None]:
    """Give finished spans of sampled traces to ``take``, from the whole process, while the block runs."""
    global _collecting  # noqa: PLW0603 - one process exports to one collector
    before, _collecting = _collecting, Collecting(take, ratio)
    try:
        yield
    finally:
        _collecting = before


def record(
    name: str, started_ns: int, ended_ns: int, attributes: dict[str, Value], *, error: str | None = None
) -> None:
    """Tell of something that others did below the current span, and that is over."""
    here, take = _current.get(), _collecting.take
    if here is None or take is None or not here.sampled:
        return
    context = next_context(here, _collecting.ratio)
    take(
        Finished(name, Kind.INTERNAL, _service(), context, here, (), attributes, error, started_ns, ended_ns)
    )


class Span:
    """One hop: ``with Span("process …", Kind.CONSUMER, parent=…):``; an exception that leaves it fails it.

    Without ``parent`` it is a child of the current span, and where there is none, begins a trace. What
    else led to it, such as the other events of a batch, is linked.
    """

    __slots__ = (
        "_started_ns", "_token", "attributes", "context", "error", "is_kept", "kind", "links", "name",
        "parent",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        parent: TraceContext | None = None,
        *,
        links: tuple[TraceContext, ...] = (),
        is_kept: bool = True,
    ) -> None:
        """Make the span's ids; it begins when it is entered.

        Args:
            name: What is done, without ids.
            kind: Which side of a hop.
            parent: What led to it; None: the current span.
            links: What else did.
            is_kept: Whether anybody is told of it: not of routine, such as probes.
        """
        self.name, self.kind, self.links, self.is_kept = name, kind, links, is_kept
        self.parent = parent if parent is not None else _current.get()
        self.context = next_context(self.parent, _collecting.ratio)
        self.attributes: dict[str, Value] = {}
        self.error: str | None = None
        self._started_ns = 0
        self._token: Token[TraceContext | None] | None = None

    def __enter__(self) -> Self:
        if self.is_collected:
            self._started_ns = time.time_ns()
        self._token = _current.set(self.context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if isinstance(error, Exception):
            self.fail(error)
        if self.is_kept and self.is_collected and self._started_ns:
            self._hand_over()

    @property
    def is_collected(self) -> bool:
        """Return whether attributes are worth setting."""
        return _collecting.take is not None and self.context.sampled

    def fail(self, error: BaseException | str) -> None:
        """Say that what the span is about did not succeed."""
        if isinstance(error, BaseException):
            self.attributes["error.type"] = type(error).__name__
        self.error = str(error)

    def _hand_over(self) -> None:
        if _collecting.take is not None:
            _collecting.take(
                Finished(
                    self.name, self.kind, _service(), self.context, self.parent, self.links, self.attributes,
                    self.error, self._started_ns, time.time_ns(),
                )
            )  # fmt: skip


def _service() -> str:
    """Return the service that this task works for: one process may run several."""
    return str(get_contextvars().get("service", "flightline"))
