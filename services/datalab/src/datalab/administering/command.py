"""``datalab users|tokens|sessions|populate-test-data``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from datalab.administering import sessions, test_data, tokens, users
from shared.errors import PermanentError, TransientError
from shared.exits import exit_code
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
    except (PermanentError, TransientError) as error:
        later = "; try again later" if isinstance(error, TransientError) else ""
        print(f"datalab: {error}{later}", file=sys.stderr)  # noqa: T201 - a command tells people
        return exit_code(error)
    return 0


async def _doing(given: argparse.Namespace) -> None:
    command: Command = given.run
    await command(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="datalab",
        description="Administers datalab. Exit codes: 0 done, 1 failed, 2 bad input, 75 try again later.",
    )
    commands: Any = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("worker", help="compute what is asked of datalab")  # told here, and begun elsewhere
    users.add_commands(commands)
    tokens.add_commands(commands)
    sessions.add_commands(commands)
    test_data.add_command(commands)
    return parser
