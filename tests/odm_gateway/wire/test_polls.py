"""What clients poll is answered by a short way of its own: it must not be told from the long one."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from pydantic import SecretStr

from odm_gateway.config import EngineKind, Settings
from odm_gateway.loops import TASKS
from odm_gateway.main import create_app
from odm_gateway.wire.listing import KEPT_S
from odm_gateway.wire.polls import Polls
from shared.service.serving import serving
from shared.state.port import Record
from tests.support.gateway import GatewayClient, opened_platform
from tests.support.logs import log_lines, restored_logging

TOKEN = "s3cret"
METRIC = "flightline_http_request_seconds_count"
VOLATILE = {"date"}

Series = dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class BothWays:
    """A gateway with the short way, and one without, on the same state; ``uuid`` is a finished task."""

    short: str
    long: str
    uuid: str
    client: GatewayClient

    async def ask(self, url: str, head: bytes) -> Answer:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        with closing(writer):
            writer.write(head.replace(b"UUID", self.uuid.encode()))
            async with asyncio.timeout(60):
                raw = await reader.read()
        top, _, body = raw.partition(b"\r\n\r\n")
        status, *lines = top.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Answer(status, sorted(pair for pair in pairs if pair[0] not in VOLATILE), body)

    async def both(self, head: bytes) -> tuple[Answer, Answer]:
        short, long = await self.ask(self.short, head), await self.ask(self.long, head)
        return short, long


def is_polls(middleware: object) -> bool:
    return isinstance(middleware, type) and issubclass(middleware, Polls)


@pytest.fixture
async def ways(tmp_path: Path) -> AsyncIterator[BothWays]:
    settings = Settings(port=0, engine=EngineKind.SIMULATE, tokens=SecretStr(TOKEN), simulate_seconds=0)
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(opened_platform(tmp_path))
        urls = []
        for is_short in (True, False):
            app = create_app(settings, platform)
            if not is_short:
                app.user_middleware = [one for one in app.user_middleware if not is_polls(one.cls)]
            urls.append(await stack.enter_async_context(serving(app, settings)))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=urls[0], params={"token": TOKEN}))
        client = GatewayClient(http, platform)
        uuid = await client.new_task(name="Höhe")
        await client.finished(uuid)
        yield BothWays(urls[0], urls[1], uuid, client)


def request(method: str, target: str, *headers: str) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: gateway",
        "Connection: close",
        "X-Request-Id: mine",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def with_token(path: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}token={TOKEN}"


PATHS = [
    "/task/list",
    "/task/UUID/info",
    "/task/odm-pipeline-UUID/info",
    "/task/UUID/info?with_output",
    "/task/UUID/info?with_output=0&with_output=5",
    "/task/UUID/output",
    "/task/UUID/output?line=2&line=-1",
    "/task/UUID/output?line=-2",
    "/task/UUID/output?line=%zz",
    "/task/UUID/output?line=%ff%fe",
    "/task/UUID/output?line=\xff",
    "/task/UUID/output?line=1e400",
    f"/task/UUID/output?line={'9' * 6000}",
    f"/task/UUID/output?line={'0x' + 'f' * 300}",
    f"/task/UUID/info?{'x=1&' * 4000}",
    "/task/UUID/info?;=;&&=&",
    "/info?_debugUnauthorized",
    "/task/%00/info",
    "/task/%ff%fe/info",
    "/task/%/info",
    "/task/%zz/output",
    "/task/a%2Fb/info",
    "/task/%2e%2e/info",
    "/task/*/info",
    "/task/list/info",
    "/task//info",
    "/task/UUID/info%0a",
    "/task/UUID/info/",
    "/task/UUID/INFO",
    "/task/UUID",
    "/task/nobody/output",
    "//info",
    "/nope",
    "/task/\xe9/info",
]


TOKENS = [
    "/task/list",
    "/task/list?token=",
    "/task/list?token=wrong",
    f"/task/list?token={TOKEN}&token=wrong",
    f"/task/list?token=wrong&token={TOKEN}",
    "/task/list?token=%ff",
    "/task/list?token=%ED%A0%80",
    "/task/list?token=submodel.x.y",
    "/task/list?token=submodel.%00.y",
    f"/task/list?token=submodel.{'x' * 3000}.y",
    f"/task/UUID/info?TOKEN={TOKEN}",
]

HEADERS = [
    ["If-None-Match: *"],
    ['If-None-Match: W/"x", "y"'],
    ["Origin: http://elsewhere", "Access-Control-Request-Method: GET"],
    ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["Content-Length: 5", "Content-Type: application/json"],
    ["Range: bytes=0-1"],
    ["Accept: text/html", "Accept-Encoding: gzip"],
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_every_request_is_answered_alike(ways: BothWays, method: str) -> None:
    for path in PATHS:
        short, long = await ways.both(request(method, with_token(path)))
        assert short == long, path


async def test_every_token_is_taken_or_refused_alike(ways: BothWays) -> None:
    for target in TOKENS:
        short, long = await ways.both(request("GET", target))
        assert short == long, target
        is_refused = b"token does not match" in short.body
        assert is_refused == (not target.endswith(f"wrong&token={TOKEN}")), target


async def test_headers_count_alike(ways: BothWays) -> None:
    for headers in HEADERS:
        body = b"{}{}{" if headers[0].startswith("Content-Length") else b""
        short, long = await ways.both(request("GET", with_token("/task/UUID/info"), *headers) + body)
        assert short == long, headers


async def test_what_is_known_is_304_on_both_ways(ways: BothWays) -> None:
    first, _ = await ways.both(request("GET", with_token("/task/UUID/info")))
    tag = dict(first.headers)["etag"]
    for method in ("GET", "HEAD"):
        head = request(method, with_token("/task/UUID/info"), f"If-None-Match: {tag}")
        short, long = await ways.both(head)
        assert short == long
        assert (short.status, short.body) == ("HTTP/1.1 304 Not Modified", b"")


async def test_the_node_is_described_alike(ways: BothWays) -> None:
    http = ways.client.http
    short, long = [(await http.get(f"{url}/info")).json() for url in (ways.short, ways.long)]
    assert short | {"availableMemory": 0} == long | {"availableMemory": 0}


async def test_answers_are_counted_alike(ways: BothWays) -> None:
    targets = ["/task/list", "/task/UUID/info", "/task/nobody/output", "/info?_debugUnauthorized"]
    counted = []
    for url in (ways.short, ways.long):
        before = series()
        for target in targets:
            await ways.ask(url, request("GET", with_token(target)))
        counted.append({labels: value - before.get(labels, 0) for labels, value in series().items()})
    short, long = [{labels: value for labels, value in one.items() if value} for one in counted]
    assert short == long
    assert sum(short.values()) == len(targets)


@pytest.fixture
def terse_logs() -> Iterator[None]:
    """Structlog's own default draws every local variable of a traceback, for half a minute."""
    with restored_logging():
        structlog.configure(
            processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        )
        yield


@pytest.mark.usefixtures("terse_logs")
async def test_a_fault_of_ours_is_answered_and_reported_alike(ways: BothWays) -> None:
    await ways.client.platform.store.insert(TASKS.name, Record(id="odd", body={"inserted_us": 1}))
    short, long = await ways.both(request("GET", with_token("/task/list")))
    assert short == long
    assert short.status == "HTTP/1.1 500 Internal Server Error"
    assert ("access-control-allow-origin", "*") in short.headers
    assert b'"request_id":"mine"' in short.body


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    with log_lines("odm-gateway", "debug") as lines:
        yield lines


async def test_what_is_logged_is_logged_alike(ways: BothWays, logged: io.StringIO) -> None:
    before = len(logged.getvalue())
    for path in ("/task/list", "/task/nobody/info", "/info?_debugUnauthorized"):
        await ways.both(request("GET", with_token(path)))
    text = logged.getvalue()[before:]
    lines = [json.loads(line) for line in text.splitlines() if "request.answered" in line]
    assert [(line["path"], line["status"]) for line in lines] == [
        *[("/task/list", 200)] * 2, *[("/task/nobody/info", 200)] * 2, *[("/info", 401)] * 2,
    ]  # fmt: skip
    assert TOKEN not in text


async def test_another_replica_lists_a_new_task_in_a_moment(ways: BothWays) -> None:
    for url in (ways.short, ways.long):
        await ways.ask(url, request("GET", with_token("/task/list")))  # both have the list in mind now
    uuid = await ways.client.new_task()

    short, _ = await ways.both(request("GET", with_token("/task/list")))
    assert uuid.encode() in short.body
    await asyncio.sleep(KEPT_S)
    _, long = await ways.both(request("GET", with_token("/task/list")))
    assert uuid.encode() in long.body


def series() -> Series:
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == METRIC
    }
