"""What the command does instead of serving: one round, a dry run, or a list of what was rejected."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from scaler.codecs import Codecs
from scaler.collections import RAW_IMAGES, SWITCHES
from scaler.config import Settings
from scaler.domain.candidates import is_wanted
from scaler.domain.raw_images import ImageState, RawImage
from scaler.webdav.mode import WebdavMode
from scaler.webdav.opening import opened_webdav
from scaler.webdav.plan import Plan, Plans
from scaler.webdav.session import Session
from shared.constants import open_constants
from shared.dav import DavResource, open_dav
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.exits import FAILED, TRY_LATER, exit_code
from shared.messaging.relay import OutboxRelay
from shared.platform import open_platform
from shared.settings import PlatformSettings, load
from shared.state import Between, Collection, Where

BETWEEN_POLLS_S = 2.0
"""At most; a file has to look the same twice."""


async def once(settings: Settings) -> int:
    """Scale what lies in the raw folder now, and end; some of it may have to be tried again later."""
    return await _said(lambda: _once(settings))


async def dry_run(settings: Settings) -> int:
    """Say what would be done with each file of the raw folder; nothing is changed anywhere."""
    return await _said(lambda: _dry_run(settings))


async def list_rejected(_settings: Settings) -> int:
    """Print the files that were rejected, each with the reason."""
    return await _said(_list_rejected)


async def _said(doing: Callable[[], Awaitable[int]]) -> int:
    """Do it, and say in a sentence what went wrong."""
    try:
        return await doing()
    except (PermanentError, TransientError) as error:
        sys.stderr.write(f"scaler: {error}\n")
        return exit_code(error)


async def _once(settings: Settings) -> int:
    async with open_platform(load(PlatformSettings), ()) as on:
        await on.store.declare(RAW_IMAGES, SWITCHES)
        relay = OutboxRelay(on.transport, on.store, [RAW_IMAGES.name])
        async with (
            Codecs(pixels_at_most=settings.pixels_at_most) as codecs,
            opened_webdav(settings, on, codecs, relay.wake) as mode,
        ):
            code = await _said(lambda: _one_round(mode))  # here: what leaves the platform comes in a group
        await relay.flush()
    return code


async def _one_round(mode: WebdavMode) -> int:
    plan = _configured(await mode.plans.current())
    async with mode.opened(plan) as session:
        await _rounds(session, min(mode.settings.frequency.total_seconds(), BETWEEN_POLLS_S))
        left = await session.waiting()
    counts = ", ".join(f"{count} {name}" for name, count in sorted(session.outcomes.items()))
    _print(f"{counts or 'nothing to do'}; {left} still waiting")
    if error := session.breaker.error or session.look.error:
        raise error
    if left:
        return TRY_LATER
    return FAILED if session.outcomes["rejected"] else 0


async def _rounds(session: Session, pause_s: float) -> None:
    """Look and scale until every file has come to rest and nothing is due."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(session.run())
        try:
            while True:
                await session.poll()
                if session.look.trouble or session.breaker.is_closed or await _is_done(session):
                    return
                await asyncio.sleep(pause_s)
        finally:
            working.cancel()


async def _is_done(session: Session) -> bool:
    now_s = Between(high=time.time())
    due: Where = {"place": session.place, "state": ImageState.WAITING.value, "due_s": now_s}
    return not (session.look.moving or session.in_hand or await session.images.count(due))


async def _dry_run(settings: Settings) -> int:
    platform = load(PlatformSettings)
    async with open_constants(platform) as constants:
        plan = _configured(await Plans(settings, platform, constants).current())
        async with open_dav(plan.place) as dav:
            folder = await dav.folder(plan.raw)
    for file in folder.files:
        _print(_would(file, plan))
    return 0


def _would(file: DavResource, plan: Plan) -> str:
    """Return what would be done with a file, as far as its listing tells."""
    if not is_wanted(file.name, plan.prefixes):
        return f"left alone: {file.path} (begins with none of {', '.join(plan.prefixes)})"
    dated = f"{file.modified_at:%Y%m%d-%H%M%S}" if file.modified_at else "DATE"
    stem, dot, suffix = file.name.rpartition(".")
    name = f"{stem or suffix}_HASH{dot}{suffix}" if stem else f"{file.name}_HASH"
    return f"would scale: {file.path} ({file.size_bytes} bytes) to {plan.unsorted}/{dated}_{name}"


async def _list_rejected() -> int:
    async with open_platform(load(PlatformSettings), ()) as on:
        await on.store.declare(RAW_IMAGES)
        images = Collection(on.store, RAW_IMAGES, RawImage)
        async for document in images.each({"state": ImageState.REJECTED.value}):
            image = document.body
            _print(f"{image.path}: {image.rejected_as}: {image.error}")
    return 0


def _configured(plan: Plan | None) -> Plan:
    if plan is None:
        raise InvalidInputError(
            "nothing says which images to scale on which WebDAV server: set FLIGHTLINE_CONSTANTS, or"
            " SCALER_RAW_NAMES_PREFIXES, SCALER_RAW_REMOTE_DIR, SCALER_UNSORTED_REMOTE_DIR and"
            " FLIGHTLINE_WEBDAV_URL"
        )
    return plan


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
