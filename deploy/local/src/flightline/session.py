"""What every command has around it: settings, logs, errors as sentences, exit codes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from flightline.printable import printable
from shared.errors import PermanentError, TransientError
from shared.exits import INTERRUPTED, exit_code

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

PATIENCE = timedelta(seconds=10)
"""How long a command waits for a broker that cannot be reached; a service waits longer."""


@contextmanager
def session(command: str, *, quiet_logs: bool = False, as_json: bool = False) -> Iterator[PlatformSettings]:
    """Load settings and turn errors into a sentence and an exit code.

    Args:
        command: What it is called, for the sentence.
        quiet_logs: Log only what goes wrong, for commands that talk to people themselves.
        as_json: Print errors as JSON on standard output too.
    """
    from shared.logging import configure_logging  # noqa: PLC0415 - so that --help is quick
    from shared.settings import PlatformSettings, load  # noqa: PLC0415

    try:
        settings = load(PlatformSettings)
        level = "error" if quiet_logs and settings.log_level == "info" else settings.log_level
        configure_logging("flightline", log_format=settings.log_format, level=level)
        if quiet_logs:
            logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the command says it in its own words
        yield settings
    except (Exception, KeyboardInterrupt) as raised:
        code, error = _judged(raised)
        if code is None:
            raise
        _end(command, error, code, as_json=as_json)


def _judged(raised: BaseException) -> tuple[int | None, BaseException]:
    """Return the exit code that an error means (None: it is a bug) and the error at the bottom of it."""
    while isinstance(raised, BaseExceptionGroup):
        raised = raised.exceptions[0]
    match raised:
        case PermanentError() | TransientError():
            return exit_code(raised), raised
        case KeyboardInterrupt() | BrokenPipeError():
            return INTERRUPTED, InterruptedError("interrupted; the same command goes on from here")
        case _:
            return None, raised


def _end(command: str, error: BaseException, code: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"status": "failed", "error": str(error), "exit_code": code}))
    typer.echo(printable(f"flightline {command}: {error}"), err=True)
    sys.exit(code)
