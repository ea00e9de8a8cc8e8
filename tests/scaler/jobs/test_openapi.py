"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scaler.config import Settings
from scaler.main import create_app
from tests.scaler.pictures import jpeg
from tests.support.columns import Column
from tests.support.processes import free_port

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ANSWERS_WITHIN_S = 30

quickly = settings(
    max_examples=3, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
thoroughly = settings(quickly, max_examples=300)

schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi()).include(
    path_regex="^/api/(jobs|scale)"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the service, with a job that is done; gives its URL."""
    home = tmp_path_factory.mktemp("api") / "home"
    home.mkdir()
    port = free_port()
    own = {"SCALER_PORT": str(port), "FLIGHTLINE_LOG_LEVEL": "error", "SCALER_IMAGE_BYTES_AT_MOST": "100000"}
    with Column(home, {"folders": "/nowhere"}, command="scaler", own=own).running():
        base = f"http://127.0.0.1:{port}"
        ends_at = time.monotonic() + 60
        while not _answers(base):
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        yield base


@pytest.fixture(scope="module")
def job(url: str) -> str:
    """Give the id of a job."""
    headers = {"Content-Type": "image/jpeg", "Prefer": "respond-async"}
    return str(httpx.post(f"{url}/api/scale", content=jpeg(1), headers=headers).json()["id"])


@schema.parametrize()
@quickly
def test_answers_are_as_described(case: Case[Any], url: str, job: str) -> None:
    _check(case, url, job)


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@thoroughly
def test_answers_to_many_requests_are_as_described(case: Case[Any], url: str, job: str) -> None:
    _check(case, url, job)


def _check(case: Case[Any], url: str, job: str) -> None:
    """Send a request, every other one about the job that there is."""
    name = case.path_parameters.get("job", "")
    if isinstance(name, str) and len(name) % 2:
        case.path_parameters["job"] = job
    case.call_and_validate(url, checks=CHECKS, timeout=ANSWERS_WITHIN_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False
