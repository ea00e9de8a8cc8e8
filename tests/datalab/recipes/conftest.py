"""One datalab that computes, for all tests of a module; each test has users of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.datalab_operations import REGISTRY
from tests.support.lab import RunningLab, running_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with the small operations of tests, and somebody who computes them."""
    with running_lab(tmp_path_factory.mktemp("recipes"), known=REGISTRY, workers=2) as running:
        yield running
