"""This machine: Python, disk, limits, the engine, ports."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import socket
import sys

from flightline.fitness.finding import Check
from flightline.overview.services import SETTINGS, settings_of
from shared.settings import PlatformSettings, load

ENGINE_MODULES = ("cv2", "numpy", "pyproj", "rasterio", "scipy", "exifread")
FREE_BYTES = 2 << 30
"""Less than this is enough for nothing but a small flight."""
OPEN_FILES = 1024
"""All services in one process have some 200 open when they do nothing."""


async def python(_settings: PlatformSettings) -> str:
    """Say which Python this is."""
    return sys.version.split()[0]


async def disk(settings: PlatformSettings) -> str:
    """Look for room, and for the right to write."""
    settings.home.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.home, os.W_OK):
        raise PermissionError(f"{settings.home} may not be written to")
    free = shutil.disk_usage(settings.home).free
    if free < FREE_BYTES:
        raise OSError(f"{free / 1e9:.1f} GB free in {settings.home}")
    return f"{free / 1e9:.0f} GB free in {settings.home}"


async def limits(_settings: PlatformSettings) -> str:
    """Look how many files a process may have open."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return "none to speak of here"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < OPEN_FILES:
        raise OSError(f"a process may have {soft} files open (hard limit {hard}), fewer than {OPEN_FILES}")
    return f"{soft} open files"


async def engine(_settings: PlatformSettings) -> str:
    """Import what the orthophoto engine is made of."""
    return await asyncio.to_thread(_engine)


def _engine() -> str:
    return ", ".join(f"{name} {importlib.import_module(name).__version__}" for name in ENGINE_MODULES)


async def ports(_settings: PlatformSettings) -> str:
    """Look which services' ports are in use."""
    taken = []
    for name in SETTINGS:
        own = load(settings_of(name))
        with socket.socket() as probe:
            probe.settimeout(1)
            if own.port and probe.connect_ex((own.host, own.port)) == 0:
                taken.append(f"{name} {own.port}")
    return f"in use: {', '.join(taken)} (is flightline up?)" if taken else "free"


CHECKS = (
    Check("python", python, "install Python 3.11 or newer"),
    Check("disk", disk, "make room for at least 2 GB, or set FLIGHTLINE_HOME to a larger disk that is yours"),
    Check("limits", limits, "ulimit -n 4096, or LimitNOFILE= of the unit, before the services start"),
    Check("engine", engine, "make setup, or install the package odm-gateway[local] again"),
    Check("ports", ports, "set the service's …_HOST to an address of this machine"),
)
