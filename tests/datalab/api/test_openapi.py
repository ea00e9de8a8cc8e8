"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis import Case

from datalab.config import Settings
from datalab.main import create_app
from tests.datalab.api.calling import asked, made
from tests.support.lab import RunningLab, running_lab
from tests.support.openapi import ANSWERS_WITHIN_S, answered_as_described, drawing

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
    if case.path.endswith("/events/"):
        _begin(case, lab.url, headers)
    else:
        answered_as_described(case, lab.url, headers)


def _begin(case: Case[Any], url: str, headers: dict[str, str]) -> None:
    """Look at the head of an answer that does not end."""
    sent = case.as_transport_kwargs(base_url=url, headers=headers)
    with requests.request(**sent, stream=True, timeout=ANSWERS_WITHIN_S) as answer:
        assert answer.status_code in (200, 400, 401, 404, 405, 429)
        kind = "text/event-stream" if answer.status_code == 200 else "application/json"
        assert answer.headers["Content-Type"].startswith(kind)
