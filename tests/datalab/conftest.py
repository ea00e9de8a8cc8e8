"""Users of the datalab that a folder of tests runs."""

from __future__ import annotations

import httpx
import pytest

from tests.support.lab import RunningLab


@pytest.fixture
def me(lab: RunningLab) -> httpx.Client:
    """Return a client of a new user."""
    return lab.user()


@pytest.fixture
def other(lab: RunningLab) -> httpx.Client:
    """Return a client of another new user."""
    return lab.user()
