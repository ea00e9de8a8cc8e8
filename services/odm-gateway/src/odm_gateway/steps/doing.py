"""Does one step, and says in exit codes whether another try may help."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import structlog
from structlog.contextvars import bound_contextvars

from odm_gateway.steps.fetch import fetch
from odm_gateway.steps.opening import open_step
from odm_gateway.steps.publish import publish
from odm_gateway.steps.ship import Shipment
from shared.errors import PermanentError, TransientError
from shared.exits import BAD_INPUT, TRY_LATER
from shared.logging import configure_logging
from shared.settings import PlatformSettings, load
from shared.tracing import Span, parse_traceparent
from shared.tracing.exporting import exporting

DONE = 0

log = structlog.get_logger()


def do(asked: argparse.Namespace, stops: list[int]) -> int:
    """Do the step that is asked for; return its exit code.

    Args:
        asked: What the command line says.
        stops: Signals that came before anybody could listen.
    """
    configure_logging(f"odm-{asked.step}")
    try:
        asyncio.run(_traced(asked, stops))
    except PermanentError as error:
        return _ended(BAD_INPUT, error, asked.termination_log)
    except TransientError as error:
        return _ended(TRY_LATER, error, asked.termination_log)
    return DONE


async def _traced(asked: argparse.Namespace, stops: list[int]) -> None:
    """Do it as a part of the trace that the workflow is in."""
    parent = parse_traceparent(os.environ.get("TRACEPARENT"))
    if asked.step == "ship":  # it only lends its console, and must not fail for settings either
        with Span("step ship", parent=parent):
            await _ship(asked, stops)
        return
    settings = load(PlatformSettings)
    async with exporting(settings.otlp_endpoint, settings.trace_ratio):
        with bound_contextvars(service=f"odm-{asked.step}"), Span(f"step {asked.step}", parent=parent):
            await _do(asked)


async def _do(asked: argparse.Namespace) -> None:
    async with open_step(load(PlatformSettings), asked.manifest, asked.workspace) as step:
        await (fetch(step) if asked.step == "fetch" else publish(step))


async def _ship(asked: argparse.Namespace, stops: list[int]) -> None:
    """Ship, and never fail: a job goes on without a console, but not with a sidecar that failed."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if stops:
        stop.set()
    while True:
        try:
            async with open_step(load(PlatformSettings), asked.manifest, asked.workspace) as step:
                await Shipment(step).run(stop, asked.every, asked.linger)
                return
        except (PermanentError, TransientError) as error:
            log.warning("console.cannot_be_shipped", error=str(error))
            if stop.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(asked.every):
                    await stop.wait()


def _ended(code: int, error: Exception, termination_log: Path) -> int:
    """Say why, in one line, to people and to Kubernetes."""
    reason = " ".join(str(error).split())
    sys.stderr.write(f"{reason}\n")
    with suppress(OSError):
        if termination_log.exists():
            termination_log.write_text(reason[:2000], encoding="utf-8")
    return code
