"""The command of a service: it tells what can be set, or serves."""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Generic, TypeVar

from fastapi import FastAPI

from shared.errors import InvalidInputError
from shared.logging import configure_logging
from shared.service.serving import new_event_loop, run
from shared.setting_faults import variable
from shared.settings import PlatformSettings, ServiceSettings, load

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of the command that sets a field of the service's settings."""

    option: str
    field: str
    metavar: str


@dataclass(frozen=True, slots=True)
class Errand(Generic[S]):
    """An option by which the command does one thing, instead of serving, and ends."""

    option: str
    help: str
    run: Callable[[S], Awaitable[int]]
    """Returns the exit code."""


def start(
    name: str,
    purpose: str,
    settings: type[S],
    create_app: Callable[[S], FastAPI],
    *,
    flags: Sequence[Flag] = (),
    errands: Sequence[Errand[S]] = (),
) -> None:
    """Be the process of one service: read settings, set logs up, serve; say in a sentence what is wrong.

    Args:
        name: Of the service, its package and its command.
        purpose: What it does, in a sentence.
        settings: Its own; those of the platform come beside them.
        create_app: Makes the service.
        flags: Options that win over the environment.
        errands: What it can do instead of serving; of several, the first listed here is done.
    """
    given = vars(_parser(name, purpose, settings, flags, errands).parse_args())
    chosen = next((errand for errand in errands if given[errand.option]), None)
    told = {flag.field: given[flag.field] for flag in flags if given[flag.field] is not None}
    try:
        platform = load(PlatformSettings)
        configure_logging(name, log_format=platform.log_format, level=platform.log_level)
        own = load(settings, **told)
        if chosen:
            sys.exit(_done(chosen, own))
        run(create_app(own), own)
    except InvalidInputError as error:
        sys.exit(f"{name}: {error}")
    except BaseExceptionGroup as group:  # what fails while others run comes in a group
        matching, others = group.split(InvalidInputError)
        if matching is None or others is not None:
            raise
        sys.exit("\n".join(f"{name}: {error}" for error in _leaves(matching)))


def _done(errand: Errand[S], settings: S) -> int:
    async def doing() -> int:
        return await errand.run(settings)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(doing())


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _parser(
    name: str,
    purpose: str,
    settings: type[ServiceSettings],
    flags: Sequence[Flag],
    errands: Sequence[Errand[Any]],
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"{purpose} Serves until SIGTERM or Ctrl-C.",
        epilog=_variables(settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(name)}")
    for flag in flags:
        told = (settings.model_fields[flag.field].description or "").replace("`", "").replace("%", "%%")
        parser.add_argument(flag.option, dest=flag.field, metavar=flag.metavar, help=told)
    for errand in errands:
        parser.add_argument(errand.option, dest=errand.option, action="store_true", help=errand.help)
    return parser


def _variables(settings: type[ServiceSettings]) -> str:
    rows = ["environment variables (those of all services, FLIGHTLINE_*, are in docs/settings.md):"]
    for field, facts in settings.model_fields.items():
        rows.append(f"  {variable(settings, field)}")
        rows.append(textwrap.indent(textwrap.fill(facts.description or "", 96), " " * 6))
    return "\n".join(rows)
