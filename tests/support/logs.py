"""Logging as it was before a command of ours set it up in the process of the tests."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from shared.logging import LogLevel, configure_logging


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo what the block does to logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@contextmanager
def log_lines(service: str, level: LogLevel = "info") -> Iterator[io.StringIO]:
    """Collect the lines that a service logs in the block."""
    lines = io.StringIO()
    with restored_logging():
        configure_logging(service, log_format="json", level=level, stream=lines)
        yield lines
