"""Logs of a service under test are kept for the test, not printed."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.types import EventDict

from shared.logging import add_trace


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars, add_trace]) as entries:
        yield entries
