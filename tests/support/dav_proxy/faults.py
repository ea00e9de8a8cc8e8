"""What can go wrong with a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from tests.support.dav_proxy.messages import Head

Moment = Literal["before", "midway", "after"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class Respond:
    """Another answer than the server's.

    Attributes:
        after_work: The request reaches the server all the same, and only its answer is lost.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after_work: bool = False

    def answer(self) -> Answer:
        """Return what the client gets."""
        first = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        headers = {**self.headers, "Content-Length": str(len(self.body))}
        return Answer(Head(first, tuple(headers.items())), self.body)


@dataclass(frozen=True, slots=True)
class Delay:
    """The request comes late to the server."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends: before the server has the request, or instead of its answer."""

    what: Literal["request", "answer"]


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many bytes of the body."""

    what: Literal["request", "answer"]
    at_bytes: int = 1000


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The server's answer is changed."""

    change: Callable[[Answer], Answer]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The request reaches the server twice, as when something sends it again; the second answer counts."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The client process is killed.

    Attributes:
        when: Before the server has the request; in the middle of the request's body, behind the head if there
            is none; or after the server has answered, before the client knows.
    """

    when: Moment


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Something else happens just before the server gets the request."""

    happens: Callable[[], object]


Fault = Respond | Delay | Drop | Cut | Rewrite | Duplicate | Kill | Meanwhile

HTML = Respond(
    200,
    b"<!DOCTYPE html><html><head><title>Portal</title></head><body><p>Please log in.<br></body></html>",
    {"Content-Type": "text/html; charset=utf-8"},
)
"""What a captive portal or a proxy in maintenance says."""
GARBAGE = Respond(207, b"<html><body>It works!<br>", {"Content-Type": "application/xml; charset=utf-8"})
"""A listing that is none."""


def weak_etags(answer: Answer) -> Answer:
    """Return an answer whose ETags are weak, as some proxies that compress make them."""
    head = answer.head
    if etag := head.get("ETag"):
        head = head.with_header("ETag", _weak(etag))
    body = answer.body
    for quote in (b'getetag>"', b"getetag>&quot;"):
        body = body.replace(quote, quote.replace(b">", b">W/"))
    return Answer(head.with_header("Content-Length", str(len(body))), body)


def wrong_length(by: int) -> Rewrite:
    """Return a fault that adds to what an answer says about its length."""

    def change(answer: Answer) -> Answer:
        head = answer.head.with_header("Content-Length", str(len(answer.body) + by))
        return Answer(head, answer.body)

    return Rewrite(change)


def _weak(etag: str) -> str:
    return etag if etag.startswith("W/") else f"W/{etag}"
