"""Waiting for something that goes on at the server, with a bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Protocol

from datalab_client.bars import bar_of_share
from datalab_client.errors import StillRunningError

FIRST_LOOK_S = 0.5
LONGEST_LOOK_S = 5.0
"""How old what the bar shows may become."""


class GoesOn(Protocol):
    """What is waited for, as it was when last looked at."""

    @property
    def status(self) -> str:
        """Return the word for how far it is."""

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more happens by itself."""


def wait_for(
    what: GoesOn,
    look: Callable[[float], object],
    *,
    title: str,
    again: str,
    timeout_s: float | None,
    is_shown: bool,
) -> None:
    """Wait until something has ended; it goes on where nobody waits for it any longer.

    Args:
        what: Is brought up to date by ``look``.
        look: Waits for so many seconds, or less where it has ended by then.
        title: Of the bar.
        again: What to type to wait again.
        timeout_s: For how long at most; None: for ever.
        is_shown: Whether there is a bar.

    Raises:
        StillRunningError: It goes on beyond ``timeout_s``.
    """
    goes_on = f"{title} goes on at the server; {again} waits for it again."
    try:
        _watch(what, look, title, math.inf if timeout_s is None else timeout_s, is_shown=is_shown)
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{goes_on}\n")
        raise
    if not what.has_ended:
        raise StillRunningError(f"After {timeout_s:g} s {goes_on}")


def _watch(
    what: GoesOn, look: Callable[[float], object], title: str, at_most_s: float, *, is_shown: bool
) -> None:
    ends_at_s, look_s = time.monotonic() + at_most_s, FIRST_LOOK_S
    with bar_of_share(title, is_shown=is_shown) as bar:
        bar.to(what.progress, what.status)
        while not what.has_ended and (left_s := ends_at_s - time.monotonic()) > 0:
            look(min(look_s, left_s))
            bar.to(what.progress, what.status)
            look_s = min(look_s * 1.3, LONGEST_LOOK_S)
