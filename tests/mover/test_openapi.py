"""The description of the HTTP interface is true: whatever is sent, answers are what it says, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis import Case

from mover.config import Settings
from mover.main import create_app
from tests.mover.conftest import FOLDERS, UNSORTED
from tests.support.columns import Column
from tests.support.dav_servers.start import running_dav
from tests.support.openapi import answered_as_described, drawing
from tests.support.processes import free_port, until_healthy

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
            until_healthy(base)
            yield base


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@drawing(300)
def test_answers_are_as_described(case: Case[Any], url: str) -> None:
    answered_as_described(case, url)
