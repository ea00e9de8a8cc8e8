"""What a run says of itself: console lines, the times of its stages, and ODM's ``log.json``."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .models import Progress


@dataclass(slots=True)
class Stage:
    """One stage as ``log.json`` tells of it."""

    name: str
    started_at: datetime
    began: float
    messages: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class Console:
    """A `Progress` that keeps what it hears, writes lines to a file at once, and passes all on.

    Stages may report from several threads.
    """

    file: TextIO
    onward: Progress
    stages: list[Stage] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, stage: str, percent: float, message: str | None = None) -> None:
        """Take note of progress and pass it on."""
        with self._lock:
            if not self.stages or self.stages[-1].name != stage:
                self._enter(stage)
            if message is not None:
                self.stages[-1].messages.append(message)
                self.write_line(f"{stage:<12} {message}")
        self.onward(stage, percent, message)

    def write_line(self, text: str) -> None:
        """Add a line to the file only."""
        self.file.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
        self.file.flush()

    def _enter(self, name: str) -> None:
        self.close()
        self.stages.append(Stage(name, datetime.now(UTC), time.monotonic()))

    def close(self) -> None:
        """Stop the clock of the current stage."""
        if self.stages:
            self.stages[-1].seconds = time.monotonic() - self.stages[-1].began

    def seconds(self) -> dict[str, float]:
        """Return the wall time of each stage."""
        self.close()
        total: dict[str, float] = {}
        for stage in self.stages:
            total[stage.name] = round(total.get(stage.name, 0.0) + stage.seconds, 3)
        return total

    def log(self, version: str, options: dict[str, object], *, error: str | None) -> dict[str, object]:
        """Return the content of ``log.json`` in ODM's keys."""
        seconds = self.seconds()
        return {
            "odmVersion": version,
            "cpus": os.cpu_count(),
            "options": options,
            "startTime": self.stages[0].started_at.isoformat() if self.stages else None,
            "endTime": datetime.now(UTC).isoformat(),
            "totalTime": round(sum(seconds.values()), 3),
            "stages": [_stage(stage) for stage in self.stages],
            "success": error is None,
            "error": error,
        }


def _stage(stage: Stage) -> dict[str, object]:
    return {
        "name": stage.name,
        "startTime": stage.started_at.isoformat(),
        "totalTime": round(stage.seconds, 3),
        "messages": [{"message": message, "type": "info"} for message in stage.messages],
    }
