"""Constants, kept and read anew in the background."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

import structlog

from shared.constants.constant import Constant
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError

ASK_AGAIN_AFTER_S = 5.0
"""How soon a source that failed is asked again, however often somebody wants the constant."""

log = structlog.get_logger(__name__)

Fault = PermanentError | TransientError
P = ParamSpec("P")
R = TypeVar("R")


class ConstantsSource(Protocol):
    """Where constants come from; its methods block, and are called in threads."""

    where: str

    def read(self, name: str) -> Constant | None:
        """Return a constant as it is now; None if there was never such a secret.

        Raises:
            NotFoundError: It was deleted.
            PermanentError: It cannot be read before somebody changes something.
            TransientError: It can perhaps be read later.
        """
        ...

    def keep(self) -> float:
        """Do what keeps the source readable, and return after how many seconds that is due again."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(slots=True)
class _Kept:
    """What was last read of a constant, and what went wrong since."""

    constant: Constant | None = None
    is_known: bool = False
    fault: Fault | None = None
    asked_at_s: float = -math.inf

    def found(self, constant: Constant | None) -> None:
        self.constant, self.is_known, self.fault = constant, True, None

    def failed(self, fault: Fault) -> None:
        """Note a fault: what was read before still counts, unless it was deleted."""
        self.fault = fault
        if isinstance(fault, NotFoundError):
            self.constant, self.is_known = None, False

    @property
    def version(self) -> str | None:
        return self.constant.version if self.constant else None

    @property
    def is_due(self) -> bool:
        """Return whether the source must be asked before an answer can be given."""
        return not self.is_known and time.monotonic() - self.asked_at_s >= ASK_AGAIN_AFTER_S

    def value(self) -> Constant | None:
        if self.fault and not self.is_known:
            raise _again(self.fault)
        return self.constant


class Constants:
    """The constants of a source, kept and read anew in the background."""

    def __init__(self, source: ConstantsSource | None, *, refresh_s: float) -> None:
        self._source = source
        self._refresh_s = refresh_s
        self._kept: dict[str, _Kept] = {}
        self._turn = asyncio.Lock()

    @property
    def where(self) -> str:
        """Return where constants come from, for people; empty if nothing is configured."""
        return self._source.where if self._source else ""

    def troubles(self) -> dict[str, str]:
        """Return what is wrong with constants that were asked for, by name."""
        return {name: str(kept.fault) for name, kept in self._kept.items() if kept.fault}

    async def read(self, name: str) -> Constant | None:
        """Return a constant; None if no source is configured, or it has no such secret.

        While the source cannot be read, what was last read of it counts.

        Raises:
            PermanentError: It was never read, or was deleted: somebody must change something.
            TransientError: It was never read, and the source cannot be read now.
        """
        if self._source is None:
            return None
        kept = self._kept.setdefault(name, _Kept())
        if kept.is_due:
            async with self._turn:
                if kept.is_due:  # nobody else asked in the meantime
                    await self._ask(self._source, name, kept)
        return kept.value()

    async def run(self) -> None:
        """Read known constants anew, and keep the source readable, for ever."""
        if self._source is None:
            return
        while True:
            await asyncio.sleep(await self._pause_s(self._source))
            for name, kept in list(self._kept.items()):
                async with self._turn:
                    await self._ask(self._source, name, kept)

    async def close(self) -> None:
        """Let go of the source."""
        if self._source:
            await asyncio.to_thread(self._source.close)

    async def _pause_s(self, source: ConstantsSource) -> float:
        try:
            return min(await _in_thread(source.keep), self._refresh_s)
        except (PermanentError, TransientError) as error:
            log.warning("constants.login_trouble", where=self.where, error=str(error))
            return self._refresh_s

    async def _ask(self, source: ConstantsSource, name: str, kept: _Kept) -> None:
        """Read a constant and note what came of it."""
        try:
            found = await _in_thread(source.read, name)
        except (PermanentError, TransientError) as error:
            if str(error) != str(kept.fault):
                log.warning("constants.trouble", constant=name, error=str(error), kept=kept.is_known)
            kept.failed(error)
        else:
            self._tell(name, kept, found)
            kept.found(found)
        kept.asked_at_s = time.monotonic()

    def _tell(self, name: str, kept: _Kept, found: Constant | None) -> None:
        if found and found.version != kept.version:
            log.info("constants.read", constant=name, where=found.where, version=found.version)
        elif kept.constant and not found:
            log.warning("constants.gone", constant=name, where=self.where)
        elif kept.fault:
            log.info("constants.readable_again", constant=name, where=self.where)


async def _in_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a source; whatever it did not foresee is told as trouble that may pass, and the loop goes on."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except (PermanentError, TransientError):
        raise
    except Exception as error:
        log.exception("constants.unforeseen")
        raise TransientError(f"constants cannot be read: {type(error).__name__}") from error


def _again(fault: Fault) -> Fault:
    """Return a fault to raise once more; an exception that is raised twice gathers tracebacks."""
    if isinstance(fault, TransientError):
        return TransientError(str(fault), retry_after=fault.retry_after)
    return InvalidInputError(str(fault))
