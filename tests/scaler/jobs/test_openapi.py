"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import Case

from scaler.config import Settings
from scaler.main import create_app
from tests.scaler.pictures import jpeg
from tests.support.columns import Column
from tests.support.openapi import answered_as_described, drawing
from tests.support.processes import free_port, until_healthy

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
        until_healthy(base)
        yield base


@pytest.fixture(scope="module")
def job(url: str) -> str:
    """Give the id of a job."""
    headers = {"Content-Type": "image/jpeg", "Prefer": "respond-async"}
    return str(httpx.post(f"{url}/api/scale", content=jpeg(1), headers=headers).json()["id"])


@schema.parametrize()
@drawing(3)
def test_answers_are_as_described(case: Case[Any], url: str, job: str) -> None:
    _check(case, url, job)


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@drawing(300)
def test_answers_to_many_requests_are_as_described(case: Case[Any], url: str, job: str) -> None:
    _check(case, url, job)


def _check(case: Case[Any], url: str, job: str) -> None:
    """Send a request, every other one about the job that there is."""
    name = case.path_parameters.get("job", "")
    if isinstance(name, str) and len(name) % 2:
        case.path_parameters["job"] = job
    answered_as_described(case, url)
