"""Finished spans to a collector, by OTLP over HTTP: in batches, from a thread, and never in anybody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from shared.errors import InvalidInputError
from shared.redaction import redact_text
from shared.tracing.context import TraceContext
from shared.tracing.spans import Finished, collecting

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

log = structlog.get_logger(__name__)

WAITING_AT_MOST = 2048
"""Spans that wait for the collector; when it is away, the oldest are dropped."""
BATCH = 512
SEND_EVERY_S = 2.0
ANSWER_WITHIN_S = 5.0
LAST_WITHIN_S = 3.0
"""How long a process that ends waits for the collector to take the last spans."""
ERROR_AT_MOST = 500


@asynccontextmanager
async def exporting(endpoint: str | None, ratio: float) -> AsyncIterator[None]:
    """Send the spans of this process to ``endpoint`` while the block runs; None: only pass ids on.

    Raises:
        InvalidInputError: What speaks OTLP is not installed.
    """
    if endpoint is None:
        with collecting(None, ratio):
            yield
        return
    pipe = _pipe(endpoint)
    try:
        with collecting(pipe.take, ratio):
            yield
    finally:
        await _closed(pipe)


@dataclass(frozen=True, slots=True)
class _Pipe:
    take: Callable[[Finished], None]
    close: Callable[[], None]
    """Blocks until the last spans are sent."""
    give_up: Callable[[], None]
    """Ends waits between tries."""


def _pipe(endpoint: str) -> _Pipe:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - heavy, an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise InvalidInputError(
            "FLIGHTLINE_OTLP_ENDPOINT needs what is not installed: install shared[tracing]",
            field="otlp_endpoint",
        ) from error
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=ANSWER_WITHIN_S)
    processor = BatchSpanProcessor(
        exporter,
        max_queue_size=WAITING_AT_MOST,
        max_export_batch_size=BATCH,
        schedule_delay_millis=SEND_EVERY_S * 1000,
    )

    def take(span: Finished) -> None:
        processor.on_end(_readable(span))

    return _Pipe(take, processor.shutdown, exporter.shutdown)


async def _closed(pipe: _Pipe) -> None:
    """Send what is left, in a thread that the end of the process does not wait for."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def closing() -> None:
        pipe.close()
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=closing, name="last spans", daemon=True).start()
    try:
        async with asyncio.timeout(LAST_WITHIN_S):
            await done.wait()
    except TimeoutError:
        log.warning("tracing.last_spans_lost", waited_s=LAST_WITHIN_S)
        pipe.give_up()


def _readable(span: Finished) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - imported by now, as below
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode  # noqa: PLC0415

    error = redact_text(span.error)[:ERROR_AT_MOST] if span.error is not None else None
    return ReadableSpan(
        name=span.name,
        context=_otel(span.context),
        parent=_otel(span.parent) if span.parent else None,
        resource=_resource(span.service),
        attributes=span.attributes,
        links=[Link(_otel(link)) for link in span.links],
        kind=SpanKind[span.kind.name],
        status=Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, error),
        start_time=span.started_ns,
        end_time=span.ended_ns,
        instrumentation_scope=InstrumentationScope("flightline", version("shared")),
    )


def _otel(context: TraceContext) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 - see above

    return SpanContext(
        int(context.trace_id, 16), int(context.span_id, 16), is_remote=False, trace_flags=TraceFlags(1)
    )


@cache
def _resource(service: str) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above

    return Resource.create(
        {"service.name": service, "service.namespace": "flightline", "service.version": version("shared")}
    )
