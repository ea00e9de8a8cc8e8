"""A simulated Tapis for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.tapis import TapisServer, tapis_server


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    """Run a simulator."""
    async with tapis_server() as running:
        yield running
