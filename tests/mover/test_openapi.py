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

from mover.config import Settings
from mover.main import create_app
from tests.mover.conftest import FOLDERS, UNSORTED
from tests.support.columns import Column
from tests.support.dav_servers.start import running_dav
from tests.support.processes import free_port

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ANSWERS_WITHIN_S = 30

thoroughly = settings(
    max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi()).include(path_regex="^/api/")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the service, with a Nextcloud that it sorts; gives its URL."""
    home = tmp_path_factory.mktemp("api") / "home"
    home.mkdir()
    port = free_port()
    with running_dav("nextcloud") as cloud:
        for number, tags in enumerate([("ai:cats",), ("ai:cats", "ai:dogs"), ("ai:..",)]):
            cloud.stored.put(f"{UNSORTED}/{number}.jpg", b"")
            cloud.stored.tag(f"{UNSORTED}/{number}.jpg", *tags)
        own = {
            "MOVER_PORT": str(port),
            "FLIGHTLINE_LOG_LEVEL": "error",
            "FLIGHTLINE_WEBDAV_URL": cloud.place.url,
            "FLIGHTLINE_WEBDAV_USERNAME": cloud.place.username,
            "FLIGHTLINE_WEBDAV_PASSWORD": cloud.place.password.get_secret_value(),
            **{f"MOVER_{name.upper()}": value for name, value in FOLDERS.items()},
        }
        with Column(home, command="mover", own=own).running():
            base = f"http://127.0.0.1:{port}"
            ends_at = time.monotonic() + 60
            while not _answers(base):
                assert time.monotonic() < ends_at
                time.sleep(0.1)
            yield base


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@thoroughly
def test_answers_are_as_described(case: Case[Any], url: str) -> None:
    case.call_and_validate(url, checks=CHECKS, timeout=ANSWERS_WITHIN_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False
