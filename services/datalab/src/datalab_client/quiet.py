"""Keeps signed URLs out of the log: whoever has one can open the result that it leads to."""

from __future__ import annotations

import logging

import httpx

_HTTPX = logging.getLogger("httpx")


def hide_signatures() -> None:
    """Have the HTTP client's log leave out queries that hold a signature."""
    if _without_signature not in _HTTPX.filters:
        _HTTPX.addFilter(_without_signature)


def _without_signature(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(_hidden(one) if isinstance(one, httpx.URL) else one for one in record.args)
    return True


def _hidden(url: httpx.URL) -> httpx.URL:
    is_signed = any("signature" in name.lower() for name in url.params)
    return url.copy_with(query=None) if is_signed else url
