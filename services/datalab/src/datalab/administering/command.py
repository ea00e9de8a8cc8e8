"""``datalab users|tokens|sessions|populate-test-data``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from datalab.administering import sessions, test_data, tokens, users
from shared.errors import PermanentError, TransientError
from shared.exits import FAILED, TRY_LATER
from shared.logging import configure_logging
from shared.settings import PlatformSettings, load

COMMANDS = ("users", "tokens", "sessions", "populate-test-data")

Command = Callable[[argparse.Namespace], Awaitable[None]]


def administer(arguments: Sequence[str]) -> int:
    """Do what a command line says and return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        platform = load(PlatformSettings)
        configure_logging("datalab", log_format=platform.log_format, level="warning")
        asyncio.run(_doing(given))
    except PermanentError as error:
        print(f"datalab: {error}", file=sys.stderr)  # noqa: T201 - a command tells people
        return FAILED
    except TransientError as error:
        print(f"datalab: {error}; try again later", file=sys.stderr)  # noqa: T201
        return TRY_LATER
    return 0


async def _doing(given: argparse.Namespace) -> None:
    command: Command = given.run
    await command(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="datalab", description="Administers datalab.")
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    users.add_commands(commands)
    tokens.add_commands(commands)
    sessions.add_commands(commands)
    test_data.add_command(commands)
    return parser
