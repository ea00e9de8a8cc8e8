"""Bars that show how far something is, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_SHARE = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


class Bar(Protocol):
    """What moves."""

    def to(self, done: float, note: str = "") -> None:
        """Show that so much is done."""


class _Shown:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def to(self, done: float, note: str = "") -> None:
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)


class _Hidden:
    def to(self, done: float, note: str = "") -> None:
        """Show nothing."""


@contextmanager
def bar_of_bytes(what: str, total: int | None, *, is_shown: bool) -> Iterator[Bar]:
    """Show how many bytes have come or gone."""
    more = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
    with _bar(what, total, is_shown=is_shown, **more) as bar:
        yield bar


@contextmanager
def bar_of_share(what: str, *, is_shown: bool) -> Iterator[Bar]:
    """Show how much is done, 0 to 1."""
    with _bar(what, 1.0, is_shown=is_shown, bar_format=_SHARE) as bar:
        yield bar


@contextmanager
def _bar(what: str, total: float | None, *, is_shown: bool, **more: Any) -> Iterator[Bar]:
    if not is_shown:
        yield _Hidden()
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - it looks whether this is a notebook

    with tqdm(desc=what, total=total, miniters=0, **more) as bar:
        yield _Shown(bar)
