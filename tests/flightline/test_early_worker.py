from __future__ import annotations

import psutil
import pytest

from flightline.early_worker import early_worker
from odm_gateway.adapters.worker_start import start_waiting
from tests.support.trouble import eventually


def waiting_workers() -> int:
    return sum("--wait" in child.cmdline() for child in psutil.Process().children())


async def one_waits() -> bool:
    return waiting_workers() == 1


async def test_a_worker_waits_as_long_as_it_may_be_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODM_GATEWAY_ENGINE", "local")

    async with early_worker(start_waiting()):
        await eventually(one_waits)
    assert waiting_workers() == 0


async def test_another_engine_gets_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODM_GATEWAY_ENGINE", "simulate")

    async with early_worker(start_waiting()):
        assert waiting_workers() == 0
