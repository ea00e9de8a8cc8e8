"""A Vault for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flightline.vault_simulator import SimulatedVault
from tests.support.vault import vault_server


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with vault_server() as served:
        yield served
