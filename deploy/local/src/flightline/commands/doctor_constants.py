"""What ``flightline doctor`` says of the constants of scaler and mover, and of their server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.constants import WEBDAV, open_constants, webdav_constants
from shared.dav import open_dav
from shared.errors import InvalidInputError
from shared.settings import PlatformSettings

NAMES = (WEBDAV, "scaler_constants", "mover_constants")

Check = Callable[[PlatformSettings], Awaitable[str]]


def constants_checks(settings: PlatformSettings) -> dict[str, Check]:
    """Return what can be looked at, as far as it is configured."""
    checks: dict[str, Check] = {"constants": _constants} if settings.constants else {}
    if settings.constants or settings.webdav_url or settings.webdav_host_url:
        checks["webdav"] = _webdav
    return checks


async def _constants(settings: PlatformSettings) -> str:
    async with open_constants(settings) as constants:
        found = [name for name in NAMES if await constants.read(name)]
        if not found:
            raise InvalidInputError(f"{constants.where} has none of {', '.join(NAMES)}")
        return f"{', '.join(found)} in {constants.where}"


async def _webdav(settings: PlatformSettings) -> str:
    async with open_constants(settings) as constants:
        login = webdav_constants(settings, await constants.read(WEBDAV))
    if login is None:
        return "not configured"
    place = login.place()
    async with open_dav(place) as dav:
        await dav.look("")
    return f"{place.username} at {place.url}"
