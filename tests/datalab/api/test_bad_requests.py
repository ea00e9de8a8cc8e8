"""Whatever is sent, the answer says what is wrong, in JSON with a length, and is never a 500."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.datalab.api.calling import SESSIONS, made

JSON = {"Content-Type": "application/json"}

BODIES = {
    "not JSON": b"{",
    "nothing but a number": b"1",
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"name": "\xff"}',
    "NaN": b'{"name": "x", "input_data": [NaN]}',
    "Infinity": b'{"name": "x", "input_data": [Infinity]}',
    "overflow": b'{"name": "x", "input_data": [1e999]}',
    "huge integer": b'{"name": "x", "input_data": [' + b"9" * 30 + b"]}",
    "endless integer": b'{"name": "x", "input_data": [' + b"9" * 5000 + b"]}",
    "deep": b'{"name": "x", "input_data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate within": b'{"name": "x", "input_data": [{"\\udc00": 1}]}',
    "trailing comma": b'{"name": "x",}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_a_400_that_says_so(me: httpx.Client, body: bytes) -> None:
    answer = me.post(SESSIONS, content=body, headers=JSON)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]
    assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["", "operations/", "operations/bulk_delete/"])
def test_a_bad_body_is_a_400_wherever_it_is_sent(me: httpx.Client, path: str) -> None:
    session = f"{SESSIONS}{made(me)['id']}/"
    for body in BODIES.values():
        answer = me.request("POST" if path else "PATCH", session + path, content=body, headers=JSON)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]


def test_broken_json_is_told_as_clients_know_it(me: httpx.Client) -> None:
    told = me.post(SESSIONS, content=b"{", headers=JSON).json()

    assert told["detail"].startswith("JSON parse error - ")
    assert told["error"] == told["detail"]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_ten_megabytes_is_too_large(me: httpx.Client, *, is_chunked: bool) -> None:
    body = json.dumps({"name": "x", "input_data": ["x" * 1000] * 10_000}).encode()
    parts = (body[start : start + 65536] for start in range(0, len(body), 65536))

    answer = me.post(SESSIONS, content=parts if is_chunked else body, headers=JSON)

    assert answer.status_code == 413
    assert "bytes" in answer.json()["error"]
    assert me.get(SESSIONS).json()["count"] == 0


def test_numbers_of_64_bits_and_text_of_all_kinds_come_back_as_they_were(me: httpx.Client) -> None:
    items: list[Any] = [2**63 - 1, -(2**63), 1e308, 5e-324, 0.1, "\x00\u2028😀", {"": [None, True, {}]}, []]

    session = made(me, "名前 \N{GREEK SMALL LETTER ALPHA}", items)

    assert me.get(f"{SESSIONS}{session['id']}/").json()["input_data"] == items


@pytest.mark.parametrize("kind", ["text/xml", "multipart/form-data; boundary=x", "image/png"])
def test_other_kinds_of_bodies_are_not_taken(me: httpx.Client, kind: str) -> None:
    answer = me.post(SESSIONS, content=b"<a/>", headers={"Content-Type": kind})

    assert answer.status_code == 415
    assert answer.json()["detail"].startswith("Unsupported media type")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", SESSIONS),
        ("PUT", SESSIONS),
        ("POST", f"{SESSIONS}1/"),
        ("GET", "/api/analysis/wcs/"),
        ("POST", "/api/available_operations/"),
        ("GET", "/api/api-token-auth/"),
    ],
)
def test_a_method_that_is_not_there_is_told(me: httpx.Client, method: str, path: str) -> None:
    answer = me.request(method, path)

    assert answer.status_code == 405
    assert answer.json()["detail"] == f'Method "{method}" not allowed.'


def test_an_unknown_path_is_told(me: httpx.Client) -> None:
    answer = me.get("/api/nothing/")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "Not found."


def test_a_body_that_never_ends_as_promised_does_no_harm(me: httpx.Client) -> None:
    url = urlsplit(str(me.base_url))
    assert url.port
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: {me.headers['Authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())

    assert me.get(SESSIONS).json()["count"] == 0
