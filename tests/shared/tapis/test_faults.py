"""Every fault of the simulator, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.sources import LoginNeededError, SourceChangedError, SourceForbiddenError
from shared.sources.pace import Pace
from shared.tapis.faults import TapisFault, told
from tests.shared.tapis.clients import FLIGHT, SYSTEM, client_of, read, source_of
from tests.support.tapis import CLIENT_KEY, TapisServer

IMAGE = f"{FLIGHT}/DJI_00001.JPG"
CONTENT, LISTING = "getContents", "listFiles"
PASSING: list[dict[str, Any]] = [
    *({"kind": "status", "status": status} for status in (408, 429, 500, 502, 503, 504)),
    {"kind": "status", "status": 429, "retry_after_s": 0.2},
    {"kind": "delay", "seconds": 0.3},
    {"kind": "hang", "seconds": 60},
    {"kind": "reset"},
]
LASTING: list[tuple[int, type[Exception]]] = [
    (400, InvalidInputError),
    (403, SourceForbiddenError),
    (404, NotFoundError),
    (429, TransientError),
    (500, TransientError),
    (503, TransientError),
]


def named(fault: dict[str, Any]) -> str:
    return " ".join(str(value) for value in fault.values())


@pytest.mark.parametrize("fault", PASSING, ids=named)
async def test_content_comes_once_a_fault_has_passed(server: TapisServer, fault: dict[str, Any]) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on(**fault, operation=CONTENT)
    async with source_of(server) as source:
        assert len(await read(source, IMAGE)) == 1000


@pytest.mark.parametrize(
    "fault", [*(fault for fault in PASSING if fault["kind"] != "hang"), {"kind": "malformed"}], ids=named
)
async def test_a_listing_comes_once_a_fault_has_passed(server: TapisServer, fault: dict[str, Any]) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on(**fault, operation=LISTING)
    async with source_of(server) as source:
        assert len((await source.folder(FLIGHT)).files) == 3


@pytest.mark.parametrize(("status", "error"), LASTING)
async def test_a_listing_that_stays_refused_says_why(
    server: TapisServer, status: int, error: type[Exception]
) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("status", times=None, status=status, operation=LISTING)
    async with source_of(server) as source:
        with pytest.raises(error, match=f"tapis://{SYSTEM}/{FLIGHT}"):
            await source.folder(FLIGHT)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_content_that_stays_refused_is_for_later(server: TapisServer, status: int) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("status", times=None, status=status, operation=CONTENT)
    async with source_of(server) as source:
        with pytest.raises(TransientError, match=str(status)):
            await read(source, IMAGE)


async def test_a_long_wait_is_left_to_the_caller(server: TapisServer) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("status", status=429, retry_after_s=600, operation=LISTING)
    async with source_of(server) as source:
        with pytest.raises(TransientError) as raised:
            await source.folder(FLIGHT)

    assert raised.value.retry_after is not None
    assert raised.value.retry_after.total_seconds() == 600


@pytest.mark.parametrize("at_bytes", [0, 999])
@pytest.mark.parametrize("kind", ["cut", "eof"])
async def test_a_body_cut_short_is_noticed_whether_or_not_the_wire_tells(
    server: TapisServer, kind: str, at_bytes: int
) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on(kind, operation=CONTENT, at_bytes=at_bytes)  # type: ignore[arg-type]
    async with source_of(server) as source:
        with pytest.raises(TransientError):
            await read(source, IMAGE)
        assert len(await read(source, IMAGE)) == 1000


@pytest.mark.parametrize("more_bytes", [-1, 1, 70_000])
async def test_a_body_of_another_size_is_noticed(server: TapisServer, more_bytes: int) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("wrong_size", operation=CONTENT, bytes=more_bytes)
    async with source_of(server) as source:
        with pytest.raises(SourceChangedError, match="1000 were listed"):
            await read(source, IMAGE)


async def test_a_file_replaced_while_it_is_read_is_noticed(server: TapisServer) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("replace", operation=CONTENT)
    async with source_of(server) as source:
        with pytest.raises(SourceChangedError, match="replaced while it was read"):
            await read(source, IMAGE)


async def test_a_body_that_drips_is_given_up(server: TapisServer) -> None:
    server.flight(SYSTEM, size_bytes=100_000)
    server.tapis.faults.switch_on("drip", operation=CONTENT, bytes_per_s=200)
    async with source_of(server, pace=Pace(slowest_bytes_per_s=1000, over_s=0.5)) as source:
        with pytest.raises(TransientError, match="too slowly"):
            await read(source, IMAGE)


async def test_tokens_that_expire_are_renewed_once_for_all(server: TapisServer) -> None:
    server.flight(SYSTEM, images=30)
    async with source_of(server) as source:
        paths = [entry.path for entry in (await source.folder(FLIGHT)).files]
        server.tapis.faults.switch_on("expire_tokens", operation=CONTENT, after=5)
        sizes = await asyncio.gather(*(read(source, path) for path in paths))

    assert [len(size) for size in sizes] == [1000] * 30
    assert server.tapis.calls.by_operation["create_token"] == 2


async def test_a_token_that_is_never_accepted_asks_for_a_login(server: TapisServer) -> None:
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("status", times=None, status=401, operation=CONTENT)
    async with source_of(server) as source:
        with pytest.raises(LoginNeededError, match=r"log in again at https://flightline\.example/login"):
            await read(source, IMAGE)


async def test_no_secret_is_in_an_error(server: TapisServer) -> None:
    server.flight(SYSTEM)
    token = server.tapis.issuer.access_token("tester")
    server.tapis.faults.switch_on(
        "status", times=None, status=403, message=f"bad {token} here", operation=LISTING
    )
    server.tapis.accounts.passwords.clear()
    async with client_of(server) as client:
        with pytest.raises(LoginNeededError) as refused:
            await client.systems("")
    server.tapis.accounts.add_user("tester", "tests-only")
    async with source_of(server) as source:
        with pytest.raises(SourceForbiddenError) as forbidden:
            await source.folder(FLIGHT)

    said = told_with_causes(refused.value) + told_with_causes(forbidden.value)
    assert CLIENT_KEY not in said
    assert token not in said
    assert "[token]" in said


def told_with_causes(error: BaseException) -> str:
    """Return what a traceback would show."""
    said = str(error)
    while (below := error.__cause__ or error.__context__) is not None:
        said, error = f"{said} {below} {vars(below)}", below
    return said


@pytest.mark.parametrize("message", [b"bytes", None, "  many \n lines  "])
def test_messages_are_plain_text(message: object) -> None:
    assert told(message) in ("bytes", "no reason given", "many lines")


def test_a_fault_without_a_status_may_pass() -> None:
    assert TapisFault(None).may_pass
