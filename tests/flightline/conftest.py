from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.columns import Column
from tests.support.zygote import Zygote, zygote

COMMANDS = ("backup", "dead_letters", "discover", "doctor", "events", "flights", "run", "status")
MODULES = (
    *(f"flightline.commands.{name}" for name in COMMANDS),
    "flightline.backup.restoring",
    "flightline.entry",
    "flightline.overview.look",
    "flightline.flight_run",
    "flightline.pipeline",
    "discovery.main",
    "shared.messaging.sqlite",
    "shared.state.sqlite",
    "uvloop",
)


@pytest.fixture(scope="session")
def parent() -> Iterator[Zygote]:
    """Run the process that commands are forked from."""
    with zygote(*MODULES) as parent:
        yield parent


@pytest.fixture
def column(tmp_path: Path, parent: Zygote) -> Column:
    (tmp_path / "home").mkdir()
    return Column(tmp_path / "home", parent=parent)
