"""One run in a process of its own: events out on stdout, cancelled when its parent lets go of stdin."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from .engine import run
from .models import CanceledError, EngineError
from .options import parse_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .options import Option

_EVERY_S: Final = 0.2
_GRACE_S: Final = 10.0
"""A step that never reports progress has this long to end after a cancel; all files are replaced whole."""


class ExitCode(IntEnum):
    """How a worker ended."""

    DONE = 0
    REFUSED = 1
    BUG = 2
    CANCELED = 3


class Events:
    """JSON lines for the parent; progress at most five times a second."""

    def __init__(self, stream: TextIO, canceled: threading.Event) -> None:
        self._stream = stream
        self._canceled = canceled
        self._lock = threading.Lock()
        self._said = ("", -1.0)

    def __call__(self, stage: str, percent: float, message: str | None = None) -> None:
        """Tell of progress.

        Raises:
            CanceledError: The parent asked to stop, or is gone.
        """
        if self._canceled.is_set():
            raise CanceledError
        if message is not None:
            self.send({"type": "line", "text": message})
        with self._lock:
            now = time.monotonic()
            last_stage, last_time = self._said
            if stage == last_stage and now - last_time < _EVERY_S:
                return
            self._said = (stage, now)
        self.send({"type": "progress", "stage": stage, "percent": round(percent, 2)})

    def send(self, event: dict[str, object]) -> None:
        """Write one event.

        Raises:
            CanceledError: Nobody reads any more.
        """
        try:
            with self._lock:
                self._stream.write(json.dumps(event) + "\n")
                self._stream.flush()
        except (BrokenPipeError, ValueError) as error:
            raise CanceledError from error


def awaited_work() -> ExitCode:
    """Wait for a job on stdin and work on it; a parent that lets go before needs no answer.

    The job is one line: ``{"images": path, "project": path, "options": [...], "log": path}``. Standard error
    goes to ``log``, as the parent of a worker without ``--wait`` sees to itself.
    """
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return ExitCode.DONE
    job = json.loads(line)
    with Path(job["log"]).open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    return work(Path(job["images"]), Path(job["project"]), job["options"])


def work(image_dir: Path, project_dir: Path, options: list[Option]) -> ExitCode:
    """Run the engine for the process's parent and say how it ended."""
    canceled = threading.Event()
    _cancel_on_end(sys.stdin.fileno(), canceled)
    events = Events(sys.stdout, canceled)
    try:
        return _work(image_dir, project_dir, options, events)
    except CanceledError:
        return ExitCode.CANCELED


def _work(image_dir: Path, project_dir: Path, asked: list[Option], events: Events) -> ExitCode:
    try:
        options, ignored = parse_options(asked)
        with _only_worker(project_dir):
            outcome = run(image_dir, project_dir, options, events, ignored=ignored)
    except EngineError as error:
        events.send({"type": "failed", "code": error.code, "message": str(error)})
        return ExitCode.REFUSED
    except CanceledError:
        raise
    except Exception as error:  # noqa: BLE001 - the outermost frame: the parent must hear of every bug
        _keep_trace(project_dir)
        events.send({"type": "failed", "code": "BUG", "message": f"{type(error).__name__}: {error}"})
        return ExitCode.BUG
    events.send({"type": "done", "assets": list(outcome.assets), "summary": outcome.summary})
    return ExitCode.DONE


@contextmanager
def _only_worker(project_dir: Path) -> Iterator[None]:
    """Hold the project's lock; the kernel lets go of it however the process ends.

    Raises:
        EngineError: ``BUSY``, another worker has it.
    """
    project_dir.mkdir(parents=True, exist_ok=True)
    with (project_dir / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError("BUSY", f"Another worker is at work in {project_dir.name}.") from error
        yield


def _cancel_on_end(stdin: int, canceled: threading.Event) -> None:
    """Set ``canceled`` on SIGTERM and when stdin ends, which it does when the parent dies."""

    def cancel() -> None:
        canceled.set()
        deadline = threading.Timer(_GRACE_S, os._exit, [ExitCode.CANCELED])
        deadline.daemon = True
        deadline.start()

    def watch() -> None:
        # Not sys.stdin, whose lock the interpreter would wait for when it ends before its parent does.
        while os.read(stdin, 4096):
            pass
        cancel()

    signal.signal(signal.SIGTERM, lambda _signal, _frame: cancel())
    threading.Thread(target=watch, name="stdin", daemon=True).start()


def _keep_trace(project_dir: Path) -> None:
    with (project_dir / "engine.log").open("a", encoding="utf-8") as log:
        log.write(traceback.format_exc())
