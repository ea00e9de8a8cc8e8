"""Looking at one thing after the other, none of which can hold up or end the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.redaction import redact_text
from shared.settings import PlatformSettings

Look = Callable[[PlatformSettings], Awaitable[str]]
"""Returns what is well, and raises what is not."""

WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    what: str
    look: Look
    remedy: str
    """What to do where it fails."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str
    do: str = ""
    """What to do, where it is not well."""


async def found(checks: Sequence[Check], settings: PlatformSettings) -> list[Finding]:
    """Look at everything at the same time."""
    return await asyncio.gather(*(_found(check, settings) for check in checks))


async def _found(check: Check, settings: PlatformSettings) -> Finding:
    try:
        async with asyncio.timeout(WITHIN_S):
            return Finding(check.what, ok=True, says=redact_text(await check.look(settings)))
    except TimeoutError:
        says = f"no answer within {WITHIN_S:.0f} s"
    except Exception as error:  # noqa: BLE001 - whatever is amiss is the finding
        says = redact_text(str(error) or type(error).__name__)
    return Finding(check.what, ok=False, says=says, do=check.remedy)
