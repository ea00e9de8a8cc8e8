"""Logs: structlog and the standard library through one chain, as JSON lines or for a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Literal, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from shared.redaction import redact_item
from shared.tracing import current

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

QUIET = (
    "aio_pika",
    "aiormq",
    "asyncio",
    "botocore",
    "aiobotocore",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "pymongo",
    "uvicorn",
)
"""Libraries that are heard from warnings on: what they do in between, our own logs say."""

_HANDLER_NAME = "flightline"

_subject: ContextVar[Callable[[], Mapping[str, str]] | None] = ContextVar("flightline_subject", default=None)


def configure_logging(
    service: str, *, log_format: LogFormat = "auto", level: LogLevel = "info", stream: TextIO | None = None
) -> None:
    """Send the logs of the whole process to ``stream``, by default stderr.

    Args:
        service: Name that every line carries unless the service that runs has bound its own.
        log_format: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
        level: The least that is shown.
        stream: Where to; standard output is left to what a command prints.
    """
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _service_name(service),
        add_subject,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    _route_standard_library(_formatter(shared, console=console, colours=stream.isatty()), level, stream)


def log_about(subject: Callable[[], Mapping[str, str]]) -> None:
    """Have every line of this task carry what ``subject`` returns, which is asked only if there is a line."""
    _subject.set(subject)


def add_subject(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say what the task is about; what the line says itself counts more."""
    if subject := _subject.get():
        for key, value in subject().items():
            event.setdefault(key, value)
    return event


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say in which span of which trace the line was logged."""
    if here := current():
        event["trace_id"], event["span_id"] = here.trace_id, here.span_id
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide secrets in every value of a log line."""
    private = {"_record", "_from_structlog"}
    return {key: value if key in private else redact_item(key, value) for key, value in event.items()}


def _service_name(service: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add


def _formatter(shared: list[Processor], *, console: bool, colours: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _route_standard_library(formatter: logging.Formatter, level: LogLevel, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if other.name != _HANDLER_NAME] + [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)
