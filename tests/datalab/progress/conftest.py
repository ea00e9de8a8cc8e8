"""One datalab for all tests of a module; each test has users of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.lab import RunningLab, running_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with one operation, and nobody who computes it."""
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def me(lab: RunningLab) -> httpx.Client:
    """Return a client of a new user."""
    return lab.user()
