"""The command of a service: it tells what can be set, or serves."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TypeVar

from fastapi import FastAPI

from shared.errors import InvalidInputError
from shared.logging import configure_logging
from shared.service.serving import run
from shared.setting_faults import variable
from shared.settings import PlatformSettings, ServiceSettings, load

S = TypeVar("S", bound=ServiceSettings)


def start(name: str, purpose: str, settings: type[S], create_app: Callable[[S], FastAPI]) -> None:
    """Be the process of one service: read settings, set logs up, serve; say in a sentence what is wrong.

    Args:
        name: Of the service, its package and its command.
        purpose: What it does, in a sentence.
        settings: Its own; those of the platform come beside them.
        create_app: Makes the service.
    """
    _parser(name, purpose, settings).parse_args()
    try:
        platform = load(PlatformSettings)
        configure_logging(name, log_format=platform.log_format, level=platform.log_level)
        own = load(settings)
        run(create_app(own), own)
    except InvalidInputError as error:
        sys.exit(f"{name}: {error}")
    except BaseExceptionGroup as group:  # what fails while others run comes in a group
        matching, others = group.split(InvalidInputError)
        if matching is None or others is not None:
            raise
        sys.exit("\n".join(f"{name}: {error}" for error in _leaves(matching)))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _parser(name: str, purpose: str, settings: type[ServiceSettings]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"{purpose} Serves until SIGTERM or Ctrl-C.",
        epilog=_variables(settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(name)}")
    return parser


def _variables(settings: type[ServiceSettings]) -> str:
    rows = ["environment variables (those of all services, FLIGHTLINE_*, are in docs/settings.md):"]
    for field, facts in settings.model_fields.items():
        rows.append(f"  {variable(settings, field)}")
        rows.append(textwrap.indent(textwrap.fill(facts.description or "", 96), " " * 6))
    return "\n".join(rows)
