"""``flightline doctor``: whether this machine and its backends are fit for work."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.session import PATIENCE, session
from shared.exits import FAILED

if TYPE_CHECKING:
    from shared.settings import PlatformSettings

ENGINE_MODULES = ("cv2", "numpy", "pyproj", "rasterio", "scipy", "exifread")
FREE_BYTES = 2 << 30
"""Less than this is enough for nothing but a small flight."""
WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check Python, disk, engine, ports and backends; exit code 1 if anything is amiss."""
    with session("doctor", quiet_logs=True, as_json=as_json) as settings:
        findings = asyncio.run(_findings(settings))
        if as_json:
            typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
        for finding in () if as_json else findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what:<10} {finding.says}")
        if not all(finding.ok for finding in findings):
            sys.exit(FAILED)


async def _findings(settings: PlatformSettings) -> list[Finding]:
    checks: dict[str, Callable[[PlatformSettings], Awaitable[str]]] = {
        "python": _python,
        "disk": _disk,
        "engine": _engine,
        "bus": _bus,
        "state": _state,
        "objects": _objects,
        "ports": _ports,
        **_constants_checks(settings),
    }
    return [await _finding(what, check, settings) for what, check in checks.items()]


def _constants_checks(settings: PlatformSettings) -> dict[str, Callable[[PlatformSettings], Awaitable[str]]]:
    from flightline.commands.doctor_constants import constants_checks  # noqa: PLC0415 - so that --help is quick

    return constants_checks(settings)


async def _finding(
    what: str, check: Callable[[PlatformSettings], Awaitable[str]], settings: PlatformSettings
) -> Finding:
    try:
        async with asyncio.timeout(WITHIN_S):
            return Finding(what, ok=True, says=await check(settings))
    except TimeoutError:
        return Finding(what, ok=False, says=f"no answer within {WITHIN_S:.0f} s")
    except Exception as error:  # noqa: BLE001 - whatever is amiss is the finding
        return Finding(what, ok=False, says=str(error) or type(error).__name__)


async def _python(_settings: PlatformSettings) -> str:
    return sys.version.split()[0]


async def _disk(settings: PlatformSettings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if free < FREE_BYTES:
        raise OSError(f"{free / 1e9:.1f} GB free in {settings.home}; make room for at least 2 GB")
    return f"{free / 1e9:.0f} GB free in {settings.home}"


async def _engine(_settings: PlatformSettings) -> str:
    versions = [f"{name} {importlib.import_module(name).__version__}" for name in ENGINE_MODULES]
    return ", ".join(versions)


async def _bus(settings: PlatformSettings) -> str:
    from shared.messaging.bus import open_transport  # noqa: PLC0415 - so that --help is quick

    async with open_transport(settings.bus, start_within=PATIENCE) as transport:
        await transport.ping()
    return settings.bus.partition(":")[0]


async def _state(settings: PlatformSettings) -> str:
    from shared.state.open import open_store  # noqa: PLC0415

    async with open_store(settings.state) as store:
        await store.ping()
    return settings.state.partition(":")[0]


async def _objects(settings: PlatformSettings) -> str:
    from shared.platform import open_object_store  # noqa: PLC0415

    async with open_object_store(settings) as objects:
        await objects.ping()
    return settings.objects.partition(":")[0]


async def _ports(_settings: PlatformSettings) -> str:
    from flightline.pipeline import parts  # noqa: PLC0415
    from shared.settings import load  # noqa: PLC0415

    taken = []
    for name, part in parts().items():
        own = load(part.settings)
        with socket.socket() as probe:
            probe.settimeout(1)
            if own.port and probe.connect_ex((own.host, own.port)) == 0:
                taken.append(f"{name} {own.port}")
    return f"in use: {', '.join(taken)} (is flightline up?)" if taken else "free"
