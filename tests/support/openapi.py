"""Requests that the description of an HTTP interface allows, and what answers to them must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Others, such as the refusal of wrong input by a 4xx, are not everybody's way."""
ANSWERS_WITHIN_S = 60


def drawing(requests: int) -> settings:
    """Return settings by which so many requests are drawn for each path, and always the same ones."""
    return settings(
        max_examples=requests,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def answered_as_described(case: Case[Any], url: str, headers: Mapping[str, str] | None = None) -> None:
    """Send a request; fails unless the answer is what the description says."""
    case.call_and_validate(url, headers=dict(headers or {}), checks=CHECKS, timeout=ANSWERS_WITHIN_S)
