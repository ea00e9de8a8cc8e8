"""Progress for people: bars with rates and times on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 2.0


class Display(Protocol):
    """Shows how far the stages are."""

    def stage(self, name: str, done: float, total: float, note: str = "") -> None:
        """Show that ``done`` of ``total`` of a stage is done."""

    def say(self, text: str) -> None:
        """Show a line that stays."""


@contextmanager
def display(*, quiet: bool = False) -> Iterator[Display]:
    """Show progress on standard error, as it allows; ``quiet`` shows nothing."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if quiet:
        yield _Silence()
    elif console.is_terminal:
        with Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


class _Silence:
    def stage(self, name: str, done: float, total: float, note: str = "") -> None:
        del name, done, total, note

    def say(self, text: str) -> None:
        del text


@dataclass
class _Bars:
    bars: Progress
    _known: dict[str, TaskID] = field(default_factory=dict)

    def stage(self, name: str, done: float, total: float, note: str = "") -> None:
        if name not in self._known:
            self._known[name] = self.bars.add_task(name, total=total, note="")
        self.bars.update(self._known[name], completed=done, total=total, note=note)

    def say(self, text: str) -> None:
        self.bars.console.print(Text(text))


@dataclass
class _Lines:
    _told_at: dict[str, float] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def stage(self, name: str, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if name in self._done or (now - self._told_at.get(name, 0) < LINE_EVERY_S and done < total):
            return
        self._told_at[name] = now
        if done >= total:
            self._done.add(name)
        share = 100 * done / total if total else 100
        self.say(f"{name}: {share:.0f} %{f', {note}' if note else ''}")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the command's voice
