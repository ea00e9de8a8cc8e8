"""Workspaces of the runner, and the runner as the process that a container runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import scripted_odm
from tests.support.until import wait_until

IMAGES = 3


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_running(process_id: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process_id, 0)
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass(frozen=True)
class Running:
    """A workspace and the packed runner; ``python`` runs both the runner and the stand-in for ODM."""

    folder: Path
    runner: Path
    python: str = sys.executable
    port: int = field(default_factory=free_udp_port)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def ask(self, *, outputs: Sequence[str] = (), **options: Any) -> None:
        """Make the job and its images."""
        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        for number in range(IMAGES):
            (self.folder / f"images/DJI_{number:04}.JPG").write_bytes(b"image")
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in options.items()]
        (self.folder / "job.json").write_text(json.dumps({"options": named, "outputs": list(outputs)}))

    def start(
        self, behaviour: str, *more: str, command: Sequence[str] | None = None
    ) -> subprocess.Popen[str]:
        called = command or [self.python, str(scripted_odm.__file__), behaviour]
        return subprocess.Popen(
            [
                self.python, str(self.runner), str(self.folder), "--progress-port", str(self.port), *more,
                "--", *called,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            env={**os.environ, "SCRIPTED_ODM_PORT": str(self.port)},
        )  # fmt: skip

    @contextmanager
    def started(self, behaviour: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        """Have a runner that does not outlive the block."""
        with self.start(behaviour, *more) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, behaviour: str, *more: str, command: Sequence[str] | None = None) -> tuple[int, str]:
        """Run to the end; return the exit code and what was said."""
        with self.start(behaviour, *more, command=command) as process:
            said, _ = process.communicate(timeout=90)
            return process.returncode, said

    def kill_at(self, behaviour: str, moment: Callable[[], Any], number: int = signal.SIGKILL) -> int:
        """Start, send a signal at ``moment``, and return how the runner ended."""
        with self.started(behaviour) as process:
            wait_until(lambda: moment() or process.poll() is not None)
            process.send_signal(number)
            process.communicate(timeout=60)
            return process.returncode

    def status(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return dict(json.loads((self.folder / "status.json").read_text()))
        return {"percent": 0}

    def lines(self) -> list[str]:
        return (self.folder / "console.log").read_text().splitlines()

    def worked(self) -> list[str]:
        """Return the stages that were worked on, as often as they were."""
        with suppress(FileNotFoundError):
            return (self.project / "worked").read_text().split()
        return []

    def programs(self) -> list[int]:
        """Return the process ids of what ODM started."""
        with suppress(FileNotFoundError):
            return [int(line) for line in (self.project / "programs").read_text().split()]
        return []

    def assets(self) -> list[str]:
        return list(json.loads((self.folder / "assets.json").read_text()))
