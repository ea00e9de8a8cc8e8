"""``flightline doctor``: whether this machine, the settings and the backends are fit for work."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import session
from shared.exits import FAILED

if TYPE_CHECKING:
    from flightline.fitness.finding import Check, Finding
    from shared.settings import PlatformSettings


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, machine and every backend that is configured, and say what to do where one is not fit.

    Does at the backends what the services do there, and takes it away again. Exit code 1 if anything is
    amiss.
    """
    with session("doctor", quiet_logs=True, as_json=as_json) as settings:
        findings = asyncio.run(_findings(settings))
        if as_json:
            typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
        for finding in () if as_json else findings:
            typer.echo(_text(finding))
        if not all(finding.ok for finding in findings):
            sys.exit(FAILED)


def _text(finding: Finding) -> str:
    if finding.ok:
        return f"ok    {finding.what:<10} {finding.says}"
    return f"FAIL  {finding.what:<10} {finding.says}\n{'':<17}do: {finding.do}"


async def _findings(settings: PlatformSettings) -> list[Finding]:
    from flightline.fitness import backends, configuration, machine  # noqa: PLC0415 - so that --help is quick
    from flightline.fitness.finding import found  # noqa: PLC0415

    return await found(
        [
            *configuration.CHECKS,
            *machine.CHECKS,
            *backends.checks(settings),
            *_constants_checks(settings),
            *_outside_checks(settings),
        ],
        settings,
    )


def _outside_checks(settings: PlatformSettings) -> list[Check]:
    from flightline.fitness import outside  # noqa: PLC0415
    from shared.errors import InvalidInputError  # noqa: PLC0415

    try:
        return outside.checks(settings)
    except InvalidInputError:
        return []  # settings that cannot be read have a finding of their own


def _constants_checks(settings: PlatformSettings) -> list[Check]:
    from flightline.commands.doctor_constants import constants_checks  # noqa: PLC0415
    from flightline.fitness.finding import Check  # noqa: PLC0415

    remedy = "FLIGHTLINE_CONSTANTS, FLIGHTLINE_WEBDAV_…: address, path, login; docs/secrets.md"
    return [Check(what, look, remedy) for what, look in constants_checks(settings).items()]
