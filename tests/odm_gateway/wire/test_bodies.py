import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request

from odm_gateway.refusals import RefusedError
from odm_gateway.wire.bodies import FILES_AT_ONCE, Incoming, read_body
from tests.support.uploading import BOUNDARY, form, part

FORM = f"multipart/form-data; boundary={BOUNDARY}"


def request(kind: str, *pieces: bytes, ends: bool = True) -> Request:
    """Return a request whose body arrives in ``pieces``, and then ends or falls silent."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    if ends:
        messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}, receive)


async def all_of(body: Incoming) -> AsyncIterator[bytes]:
    while chunk := await body.read():
        yield chunk


@pytest.mark.parametrize(
    ("kind", "body", "fields"),
    [
        ("application/x-www-form-urlencoded", b"a=1&a=2&b=H%C3%B6he&c=", {"a": "1", "b": "Höhe", "c": ""}),
        ("application/json; charset=utf-8", b'{"a": [1]}', {"a": [1]}), ("application/json", b"[1]", {}),
        ("application/json", b" ", {}), ("text/plain", b"a=1", {}), ("", b"a=1", {}),
        ("multipart/form-data", b"anything", {}), (FORM, b"", {}),
        (FORM, form(part("a", b"1"), part("a", b"2")), {"a": "1"}),
    ],
)  # fmt: skip
async def test_fields_come_in_bodies_of_every_kind(kind: str, body: bytes, fields: dict[str, Any]) -> None:
    assert (await read_body(request(kind, body))).fields == fields


async def test_a_client_that_falls_silent_is_given_up() -> None:
    silent = Incoming(request(FORM, b"x", ends=False), silence_s=0.05)
    assert await silent.read() == b"x"
    with pytest.raises(RefusedError, match=r"Nothing arrived for 0\.05 s"):
        await silent.read()
    assert await silent.read() == b""


async def test_of_the_files_of_a_request_few_are_under_way_together() -> None:
    under_way, most = 0, 0

    async def take(_: str, content: AsyncIterator[bytes]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        assert [chunk async for chunk in content] == [b"1"]
        await asyncio.sleep(0.01)
        under_way -= 1

    await read_body(request(FORM, form(*[part("images", b"1", "a.jpg")] * 20)), take=take)
    assert (under_way, most) == (0, FILES_AT_ONCE)


async def test_a_file_that_cannot_be_taken_stops_the_others() -> None:
    stopped: list[str] = []

    async def take(name: str, content: AsyncIterator[bytes]) -> None:
        _ = [chunk async for chunk in content]
        if name == "bad.jpg":
            raise RefusedError("no room")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(name)
            raise

    body = form(part("images", b"1", "a.jpg"), part("images", b"2", "bad.jpg"), part("images", b"3", "c.jpg"))
    with pytest.raises(RefusedError, match="no room"):
        await read_body(request(FORM, body), take=take)
    assert "a.jpg" in stopped


async def test_what_is_not_taken_of_a_file_is_skipped() -> None:
    taken: list[str] = []

    async def take(name: str, _: AsyncIterator[bytes]) -> None:
        taken.append(name)

    body = form(part("images", bytes(500_000), "a.jpg"), part("name", b"x"), part("images", b"3", "c.jpg"))
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    assert (await read_body(request(FORM, *pieces), take=take)).fields == {"name": "x"}
    assert taken == ["a.jpg", "c.jpg"]


async def test_a_client_that_sends_hardly_anything_is_given_up() -> None:
    pieces = [b"x"] * 10_000

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": pieces.pop(), "more_body": True}

    dripping = Incoming(Request({"type": "http", "method": "POST", "headers": []}, receive), silence_s=0.5)
    with pytest.raises(RefusedError, match="Less than 256 B/s arrived"):
        _ = [_ async for _ in all_of(dripping)]
    assert 20 < 10_000 - len(pieces) < 2000


async def test_time_that_we_take_ourselves_is_not_the_clients() -> None:
    quick = Incoming(request(FORM, *[b"x"] * 5), silence_s=0.05)
    while await quick.read():
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("body", [b"a&" * 1_000_000, b"a=1&" * 1001])
async def test_forms_have_no_more_fields_than_anybody_sends(body: bytes) -> None:
    with pytest.raises(RefusedError, match="more than 1000 fields"):
        await read_body(request("application/x-www-form-urlencoded", body))


@pytest.mark.parametrize(
    "body", [b"[" * 1_000_000, b'{"a":' * 100_000 + b"1", b"\xff", b'{"a": NaN}', b"9" * 10_000]
)
async def test_json_that_nobody_writes_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="no JSON"):
        await read_body(request("application/json", body))
