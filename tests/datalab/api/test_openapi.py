"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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

from datalab.config import Settings
from datalab.main import create_app
from tests.datalab.api.calling import asked, made
from tests.support.lab import RunningLab, running_lab

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ANSWERS_WITHIN_S = 60
SERVER_KEY = "the-key-of-the-portal"

quick = settings(
    max_examples=1, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
thorough = settings(quick, max_examples=200)

schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi()).include(
    path_regex="^/(api|authprofile)/"
)


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningLab, str]]:
    """Run datalab with a user who has a session, and is an admin; gives the user's token, too."""
    with running_lab(tmp_path_factory.mktemp("openapi"), server_key=SERVER_KEY) as lab:
        client = lab.user(is_admin=True)
        asked(client, made(client)["id"])
        yield lab, client.headers["Authorization"]


@schema.parametrize()
@quick
def test_answers_are_as_described(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    _call(case, admin)


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@thorough
def test_answers_are_as_described_whatever_is_sent(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    _call(case, admin)


def _call(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    lab, token = admin
    is_portal = case.path.startswith("/authprofile/")
    headers = {"Authorization": f"Server {SERVER_KEY}" if is_portal else token}
    case.call_and_validate(lab.url, headers=headers, checks=CHECKS, timeout=ANSWERS_WITHIN_S)
