from pathlib import Path

import pytest

from odm_gateway.runner.__main__ import pack
from tests.odm_gateway.runner.workspaces import Running


@pytest.fixture(scope="session")
def packed_runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def odm(tmp_path: Path, packed_runner: Path) -> Running:
    running = Running(tmp_path.resolve() / "workspace", packed_runner)
    running.ask()
    return running
