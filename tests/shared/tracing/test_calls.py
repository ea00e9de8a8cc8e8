"""Requests, in and out: the trace comes with them and goes along, and answers are measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession, web
from prometheus_client import REGISTRY

from shared.outside import outside_session
from shared.tracing import Span, parse_traceparent
from shared.tracing.calls import watched
from shared.tracing.exporting import exporting
from tests.shared.service.kites import kites
from tests.support.collector import open_collector
from tests.support.processes import free_port

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seconds_count(method: str, outcome: str, system: str = "web") -> float:
    labels = {"system": system, "method": method, "outcome": outcome}
    return REGISTRY.get_sample_value("flightline_outgoing_request_seconds_count", labels) or 0


@asynccontextmanager
async def elsewhere(heard: list[str | None]) -> AsyncIterator[str]:
    """Another system, which keeps what it hears of traces; ``/broken`` is."""

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get("traceparent"))
        return web.Response(status=500 if request.path == "/broken" else 200)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://127.0.0.1:{1}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def test_the_other_side_is_told_which_span_asks() -> None:
    heard: list[str | None] = []
    async with open_collector() as collector, elsewhere(heard) as url:
        async with exporting(collector.url, 1.0), outside_session(allow_private=True) as session:
            with Span("work", parent=parse_traceparent(CALLER)):
                await (await session.get(f"{url}/fine")).read()
                await (await session.post(f"{url}/broken")).read()
        [work], [get], [post] = map(collector.named, ("work", "GET web", "POST web"))

    assert heard == [f"00-{one.trace_id}-{one.span_id}-01" for one in (get, post)]
    assert {(one.kind, one.parent_id, one.trace_id) for one in (get, post)} == {
        ("CLIENT", work.span_id, CALLER.split("-")[1])
    }
    assert (get.error, post.error, work.error) == (None, "answered 500", None)


async def test_outside_of_any_span_nothing_is_told() -> None:
    heard: list[str | None] = []
    async with elsewhere(heard) as url, outside_session(allow_private=True) as session:
        await (await session.get(url)).read()

    assert heard == [None]


async def test_answers_are_counted_by_system_method_and_kind() -> None:
    before = [seconds_count(*each) for each in (("GET", "2xx"), ("other", "5xx"), ("GET", "unanswered"))]
    async with elsewhere([]) as url, ClientSession(middlewares=(watched("web"),)) as session:
        await (await session.get(f"{url}/{'x' * 30}")).read()
        await (await session.request("REPORT", f"{url}/broken")).read()
        with pytest.raises(ClientError):
            await session.get(f"http://127.0.0.1:{free_port()}/")

    after = [seconds_count(*each) for each in (("GET", "2xx"), ("other", "5xx"), ("GET", "unanswered"))]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


async def test_a_request_is_a_span_below_its_caller_s_but_a_probe_is_none() -> None:
    async with open_collector() as collector:
        async with exporting(collector.url, 1.0), kites() as running:
            await running.http.get("/kites/anna", headers={"traceparent": CALLER})
            await running.http.get("/kites/bug")
            await running.http.get("/nowhere/at-all")
            for probe in ("/healthz", "/readyz", "/metrics"):
                await running.http.get(probe)
            await asyncio.sleep(0)

        [asked, failed, unmatched] = collector.spans
    assert (asked.name, asked.kind, asked.service) == ("GET /kites/{name}", "SERVER", "kites")
    assert (asked.trace_id, asked.parent_id) == tuple(CALLER.split("-")[1:3])
    assert (asked.attributes["http.response.status_code"], asked.error) == (200, None)
    assert (failed.parent_id, failed.error) == ("", "answered 500")
    assert (unmatched.name, unmatched.error) == ("GET unmatched", None)
