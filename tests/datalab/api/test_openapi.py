"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis import Case

from datalab.config import Settings
from datalab.main import create_app
from tests.datalab.api.calling import asked, made
from tests.support.lab import RunningLab, running_lab
from tests.support.openapi import answered_as_described, drawing

SERVER_KEY = "the-key-of-the-portal"

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
@drawing(1)
def test_answers_are_as_described(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    _call(case, admin)


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@drawing(200)
def test_answers_are_as_described_whatever_is_sent(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    _call(case, admin)


def _call(case: Case[Any], admin: tuple[RunningLab, str]) -> None:
    lab, token = admin
    is_portal = case.path.startswith("/authprofile/")
    headers = {"Authorization": f"Server {SERVER_KEY}" if is_portal else token}
    answered_as_described(case, lab.url, headers)
