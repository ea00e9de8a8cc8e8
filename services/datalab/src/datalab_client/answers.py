"""Answers of the server: JSON, or the error that they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx

from datalab_client.errors import (
    BusyError,
    DatalabError,
    InvalidError,
    NotThereError,
    ServerError,
    UnauthorizedError,
)

SAID_AT_MOST_CHARACTERS = 2000
VALUE_AT_MOST_CHARACTERS = 80
_SECRET = frozenset({"password", "token"})
_NO_FIELDS = frozenset({"error", "detail", "non_field_errors"})
_ANOTHER = (
    "Get another one with Datalab.log_in(url, username), or from whoever runs this datalab"
    " (`datalab tokens add NAME`)."
)


def parsed(response: httpx.Response, content: bytes) -> Any:
    """Return what an answer says.

    Raises:
        ServerError: It is no JSON.
    """
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except ValueError:
        kind = response.headers.get("content-type", "something that does not say what it is")
        raise ServerError(
            f"{where(response.request)} answered with {kind} instead of JSON: is it the address of a datalab?"
        ) from None


def error_of(response: httpx.Response, content: bytes, sent: Any = None) -> DatalabError:
    """Return the error that an answer means.

    Args:
        response: With its status and headers.
        content: Its body.
        sent: What was sent, from which the values are told that were found wrong.
    """
    if response.is_redirect:
        return ServerError(
            f"{where(response.request)} sends elsewhere, to {_location(response)};"
            " the token is not sent there. If that is your datalab, give its address instead."
        )
    said = _said(content)
    message = said.get("error") or said.get("detail") or f"The answer was {_named(response.status_code)}."
    message = str(message)[:SAID_AT_MOST_CHARACTERS]
    fields = dict(_fields(said))
    if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR and fields:
        return InvalidError("\n".join(_told(fields, sent)), fields)
    return _plain_error(response, message)


def _plain_error(response: httpx.Response, message: str) -> DatalabError:
    match response.status_code:
        case 401:
            return UnauthorizedError(f"{message} {_ANOTHER}")
        case 403:
            return UnauthorizedError(message)
        case 404 | 410:
            return NotThereError(f"{message} ({where(response.request)})")
        case 429 | 503:
            return BusyError(f"{message.removesuffix('.')}.{_when(response)}")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ServerError(f"{message} ({where(response.request)}: {_named(status)})")
    return InvalidError(message)


def where(request: httpx.Request) -> str:
    """Return what was asked, without a query: that may hold a signature."""
    return f"{request.method} {request.url.copy_with(query=None, username=None, password=None)}"


def _said(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fields(said: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for name, messages in said.items():
        if name not in _NO_FIELDS and isinstance(messages, list):
            yield name, [str(one)[:SAID_AT_MOST_CHARACTERS] for one in messages]


def _told(fields: Mapping[str, list[str]], sent: Any) -> Iterator[str]:
    """Yield a line for each fault: the field, what is wrong with it, and what was given."""
    for name, messages in fields.items():
        for message in messages:
            path, _, rest = message.partition(": ")
            value = "" if name in _SECRET else _value(sent, f"{name}.{path}" if rest else name)
            yield f"{name}: {message}{value}"


def _value(sent: Any, path: str) -> str:
    """Return in brackets what stands in ``sent`` at a path; nothing where that is not a plain value."""
    for part in path.split("."):
        if isinstance(sent, Mapping) and part in sent:
            sent = sent[part]
        elif isinstance(sent, list) and part.isdecimal() and int(part) < len(sent):
            sent = sent[int(part)]
        else:
            return ""
    if isinstance(sent, Mapping | list):
        return f" (you gave {len(sent)} items)" if isinstance(sent, list) else ""
    text = repr(sent)
    return (
        f" (you gave {text[:VALUE_AT_MOST_CHARACTERS]}{'…' if len(text) > VALUE_AT_MOST_CHARACTERS else ''})"
    )


def _when(response: httpx.Response) -> str:
    after = response.headers.get("retry-after", "")
    return f" Try again in {after} s." if after.isdecimal() else ""


def _named(status: int) -> str:
    return f"{status} {httpx.codes.get_reason_phrase(status)}".strip()


def _location(response: httpx.Response) -> str:
    try:
        target = response.request.url.join(response.headers.get("location", ""))
    except (httpx.InvalidURL, ValueError):
        return "an address that is none"
    return str(target.copy_with(query=None, fragment=None, username=None, password=None))
