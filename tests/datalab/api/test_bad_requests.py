"""Whatever is sent, the answer says what is wrong, in JSON with a length, and is never a 500."""

from __future__ import annotations

import gzip
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from datalab.config import Settings
from datalab.main import create_app
from tests.datalab.api.calling import SESSIONS, made

JSON = {"Content-Type": "application/json"}
FORM = "application/x-www-form-urlencoded"

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


PATHS = create_app(Settings()).openapi()["paths"]
WRITING = [
    (method.upper(), path)
    for path, methods in PATHS.items()
    for method in methods
    if path.startswith(("/api/", "/authprofile/")) and method in ("post", "put", "patch")
]
READING = [path for path in PATHS if path.startswith("/api/") and not path.endswith(("/events/", "/wait/"))]
ODD_IDS = ("-1", "9" * 19, "9" * 30, "%00", "%ff", "%2e%2e", "x" * 3000)
ODD_QUERIES = (
    "limit=-1&offset=-1",
    f"limit={10**30}&offset={10**30}&name={'x' * 30_000}",
    "limit=%00&limit=2&offset=%ff&&==&%00=%00",
    "name=%00&user=%ff&name_exact=%F0%9F%98%80&user_exact=%0d%0a",
    "created_after=0001-01-01T00:00:00%2B14:00&created_before=9999-12-31T23:59:59-14:00",
)
KINDS = {
    "gzip that is not told": (gzip.compress(b'{"name": "x"}'), JSON),
    "gzip": (gzip.compress(b'{"name": "x"}'), {**JSON, "Content-Encoding": "gzip"}),
    "XML": (b"<name/>", {"Content-Type": "application/xml"}),
    "a form that is none": (b"name=%ff&input_data=[&%00=1", {"Content-Type": FORM}),
    "parts without a boundary": (b"--x\r\n", {"Content-Type": "multipart/form-data"}),
    "of no kind": (b'{"name": ["x"], "ids": {}, "input_data": "x", "steps": 1}', {}),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}),
    "NUL": (b'{"name": "\\u0000", "basename": "\\u0000", "username": "\\u0000", "label": "\\u0000"}', JSON),
    "keys twice": (b'{"name": "x", "name": [], "ids": [1], "ids": {}}', JSON),
    "ids beyond all": (b'{"ids": [9223372036854775807, -1], "name": 5, "input_data": {}}', JSON),
    **{name: (body, JSON) for name, body in BODIES.items()},
}


def _told(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(("body", "headers"), KINDS.values(), ids=KINDS.keys())
def test_no_route_falls_over_a_body(me: httpx.Client, body: bytes, headers: dict[str, str]) -> None:
    """Row: fault 3, bad bodies were a 500."""
    for method, path in WRITING:
        _told(me.request(method, re.sub("{[^}]*}", "1", path), content=body, headers=headers))


def test_no_route_falls_over_an_id_or_a_query(me: httpx.Client) -> None:
    """Row: fault 3, bad paths were a 500."""
    for path in READING:
        for odd in ODD_IDS if "{" in path else ():
            _told(me.get(re.sub("{[^}]*}", odd, path)))
        for query in ODD_QUERIES:
            _told(me.get(f"{re.sub('{[^}]*}', '1', path)}?{query}"))


def test_ids_beyond_64_bits_are_not_there(me: httpx.Client) -> None:
    for number in (2**63 - 1, 2**63, 10**30):
        assert me.get(f"{SESSIONS}{number}/").status_code == 404
        assert me.delete(f"{SESSIONS}{number}").status_code == 404
        assert me.get(f"/api/uploads/{number}/").status_code == 404
        body = {"ids": [min(number, 2**63 - 1)]}
        answer = me.post(f"{SESSIONS}{made(me)['id']}/operations/bulk_delete/", json=body)
        assert answer.json() == {"deleted": 0}


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
