"""What the tests of operations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datalab.operations.working import FolderWork


@pytest.fixture
def work(tmp_path: Path) -> FolderWork:
    """Give an empty folder with images and one for results."""
    for name in ("files", "results"):
        (tmp_path / name).mkdir()
    return FolderWork(tmp_path / "files", tmp_path / "results", {"computation_key": "ab" * 32})
