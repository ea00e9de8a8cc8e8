from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from flightline.nextcloud_simulator import Nextcloud
from tests.support.dav_servers import RunningDav, running_dav
from tests.support.dav_servers.asking import Asking


@dataclass(frozen=True)
class Simulated:
    running: RunningDav
    asking: Asking

    @property
    def simulator(self) -> Nextcloud:
        assert self.running.simulator is not None
        return self.running.simulator


@pytest.fixture(scope="module")
def server() -> Iterator[RunningDav]:
    with running_dav("nextcloud") as running:
        yield running


@pytest.fixture
def simulated(server: RunningDav) -> Iterator[Simulated]:
    """Give the module's server, emptied behind every test."""
    given = Simulated(server, Asking(server.place))
    yield given
    given.simulator.faults.clear()
    given.simulator.calls.clear()
    for name in server.folder.iterdir():
        given.simulator.tree.discard(name.name)
