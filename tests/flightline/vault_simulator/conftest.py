"""A Vault for each test, and hvac as its client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flightline.vault_simulator import SimulatedVault
from tests.support.vault import real_client, vault_server


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with vault_server() as served:
        yield served


@pytest.fixture
def client(vault: SimulatedVault) -> Iterator[Any]:
    with real_client(vault) as logged_in:
        yield logged_in
