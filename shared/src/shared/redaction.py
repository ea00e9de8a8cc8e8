"""Secrets taken out of what is written to logs and error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pydantic import SecretBytes, SecretStr

HIDDEN = "***"
DEEPEST = 8

_SENSITIVE = (
    r"password|passwd|passphrase|secret|token|authorization|cookie|credential|signature|jwt"
    r"|api[_-]?key|access[_-]?key|private[_-]?key"
)
_SECRET_KEY = re.compile(_SENSITIVE, re.IGNORECASE)

_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,30}://)(?P<user>[^\s/:@\"'<>]*:)?[^\s/\"'<>]*@", re.IGNORECASE
)
_AUTHORIZATION = re.compile(
    r"(?P<name>\bauthorization[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+|(?P<bearer>\bbearer\s+)[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    rf"(?P<name>(?<![\w-])[\w-]{{0,40}}(?:{_SENSITIVE}|AWSAccessKeyId|(?<![\w-])sig)[\w-]{{0,40}}"
    r"[\"']?\s?[=:]\s?[\"']?)(?!\s)[^\s\"'&,;}]+",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """Return ``text`` without passwords in URLs, tokens in queries, AWS signatures and credentials."""
    text = _USERINFO.sub(lambda m: f"{m['scheme']}{m['user'] or ''}{HIDDEN}@", text)
    text = _AUTHORIZATION.sub(lambda m: f"{m['name'] or m['bearer']}{HIDDEN}", text)
    return _ASSIGNED.sub(lambda m: f"{m['name']}{HIDDEN}", text)


def is_secret_name(name: str) -> bool:
    """Return whether a value of this name must not be shown."""
    return bool(_SECRET_KEY.search(name))


def redact(value: object, depth: int = 0) -> Any:
    """Return ``value`` as JSON-able data in which secrets are hidden, at most ``DEEPEST`` levels deep."""
    match value:
        case None | bool() | int() | float():
            return value
        case SecretStr() | SecretBytes():
            return HIDDEN
        case _ if depth >= DEEPEST:
            return "…"
        case Mapping():
            return {str(key): redact_item(str(key), item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redact(item, depth + 1) for item in value]
        case _:
            return redact_text(_text(value))


def redact_item(name: str, value: object, depth: int = 0) -> Any:
    """Return ``value``, hidden where its name or its content says that it is secret."""
    if is_secret_name(name) and value is not None and not isinstance(value, bool | int | float):
        return HIDDEN
    return redact(value, depth)


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bytes():
            return value.decode(errors="replace")
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case date():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds():g}s"
        case _:
            return str(value)
