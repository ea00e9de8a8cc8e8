"""A collector of traces: OTLP over HTTP, as opentelemetry-proto has it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True, slots=True)
class Collected:
    """A span that arrived."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Ids of spans."""
    attributes: dict[str, str | int | float | bool]
    error: str | None


@dataclass
class Collector:
    """What arrived, and how it answers."""

    url: str = ""
    spans: list[Collected] = field(default_factory=list)
    requests: int = 0
    status: int = 200
    answer_after_s: float = 0.0

    def named(self, name: str) -> list[Collected]:
        """Return the spans of a name, in the order in which they arrived."""
        return [span for span in self.spans if span.name == name]

    def by_id(self, span_id: str) -> Collected | None:
        """Return a span."""
        return next((span for span in self.spans if span.span_id == span_id), None)

    def ancestors(self, span: Collected) -> list[str]:
        """Return the names of what a span is below, the nearest first."""
        names: list[str] = []
        above = self.by_id(span.parent_id)
        while above is not None:
            names.append(above.name)
            above = self.by_id(above.parent_id)
        return names

    async def take(self, request: web.Request) -> web.Response:
        """Answer ``POST /v1/traces``."""
        self.requests += 1
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        await asyncio.sleep(self.answer_after_s)
        if self.status == 200:
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=answer, content_type="application/x-protobuf")


def _spans(request: ExportTraceServiceRequest) -> list[Collected]:
    return [
        _collected(str(_attributes(resource.resource.attributes).get("service.name")), span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _collected(service: str, span: Span) -> Collected:
    return Collected(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
        error=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
    )


def _attributes(pairs: list[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    """Run a collector on a free port of this machine."""
    collector = Collector()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        collector.url = f"http://{host}:{port}"
        yield collector
    finally:
        await runner.cleanup()
