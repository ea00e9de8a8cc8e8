"""Signature version 4 of URLs, and of requests whose body's hash is known; botocore's takes far longer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, reduce
from typing import Protocol
from urllib.parse import quote, urlencode

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Protocol):
    """Who we are, as botocore knows it for a moment."""

    @property
    def access_key(self) -> str:
        """Return the name of the key."""

    @property
    def secret_key(self) -> str:
        """Return the key."""

    @property
    def token(self) -> str | None:
        """Return what goes along with keys that are valid for a while."""


@dataclass(frozen=True, slots=True)
class Put:
    """What is signed: URL parts as they are sent, the query sorted, and the hash of the body."""

    host: str
    path: str
    query: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Get:
    """What a URL opens, and how: GET or HEAD; URL parts as they are sent."""

    host: str
    path: str
    region: str
    method: str = "GET"


def signed(
    put: Put, headers: Mapping[str, str], who: Credentials, region: str, now: datetime | None = None
) -> dict[str, str]:
    """Return ``headers`` and those that sign them."""
    stamp = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    complete = {**headers, "x-amz-content-sha256": put.sha256, "x-amz-date": stamp}
    if who.token:
        complete["x-amz-security-token"] = who.token
    told = {"host": put.host, **complete}
    named = sorted((name.lower(), " ".join(value.split())) for name, value in told.items())
    names = ";".join(name for name, _ in named)
    lines = "".join(f"{name}:{value}\n" for name, value in named)
    canonical = f"PUT\n{put.path}\n{put.query}\n{lines}\n{names}\n{put.sha256}"
    scope, signature = _signature(canonical, who, region, stamp)
    who_signs = f"Credential={who.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**complete, "Authorization": f"{_ALGORITHM} {who_signs}"}


def presigned(
    get: Get, query: Mapping[str, str], expires_s: int, who: Credentials, now: datetime | None = None
) -> str:
    """Return the query of a URL that lets anybody read an object until it expires.

    Args:
        get: What is signed.
        query: What else is asked for, such as another name of the file.
        expires_s: How long from now.
        who: Signs.
        now: The moment.
    """
    stamp = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    scope = _scope(stamp, get.region)
    told = {
        **query,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{who.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if who.token:
        told["X-Amz-Security-Token"] = who.token
    asked = _asked(tuple(sorted(told.items())))
    canonical = f"{get.method}\n{get.path}\n{asked}\nhost:{get.host}\n\nhost\nUNSIGNED-PAYLOAD"
    return f"{asked}&X-Amz-Signature={_signature(canonical, who, get.region, stamp)[1]}"


def _scope(stamp: str, region: str) -> str:
    return f"{stamp[:8]}/{region}/s3/aws4_request"


def _signature(canonical: str, who: Credentials, region: str, stamp: str) -> tuple[str, str]:
    """Return what a signature counts for, and the signature."""
    scope = _scope(stamp, region)
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return scope, _hmac(_key(who.secret_key, scope), text).hex()


@lru_cache(maxsize=16)
def _key(secret_key: str, scope: str) -> bytes:
    return reduce(_hmac, scope.split("/"), f"AWS4{secret_key}".encode())


@lru_cache(maxsize=16)
def _asked(items: tuple[tuple[str, str], ...]) -> str:
    """Return a query; thousands of URLs that are signed within a second have the same."""
    return urlencode(items, quote_via=quote, safe="~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
