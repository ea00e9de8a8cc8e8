"""``dav_server``: the same test on every server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.dav_servers.real import is_named
from tests.support.dav_servers.running import RunningDav
from tests.support.dav_servers.start import KINDS, running_dav

REAL = pytest.param(
    "real", id="real-nextcloud", marks=pytest.mark.skipif(not is_named(), reason="no real Nextcloud is named")
)
"""The column of `make test-nextcloud`."""


@pytest.fixture(params=[*KINDS, REAL])
def dav_server(request: pytest.FixtureRequest) -> Iterator[RunningDav]:
    """Run each server that honours preconditions, empty, for one test."""
    with running_dav(request.param) as server:
        yield server


@pytest.fixture
def nextcloud() -> Iterator[RunningDav]:
    """Run the Nextcloud simulator, empty, for one test."""
    with running_dav("nextcloud") as server:
        yield server
