"""One start of ODM on a workspace, from its first process to the archive of its products."""

from __future__ import annotations

import errno
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from .archive import products, write_archive
from .command import command_line, splits
from .console import Console
from .memory import meter
from .processes import VARIABLE, belongs, sweep
from .project import link_images, unpack_seed
from .status import ARCHIVED, ARCHIVING, ODM_SHARE, Status, stage_of
from .workspace import PROJECT, NotStartedError, RefusedError, Workspace, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PROGRESS_PORT = 6367
"""ODM sends its progress there and knows no other port."""
IO_FAILED, TERMINATED = 74, 143
TICK_S, LAST_TICK_S = 0.5, 0.02
SILENCE_S = 2.0
"""How long an ended ODM is listened to while something that it left behind holds its console open."""
MEASURE_EVERY_S = 1.0
READ_BYTES = 1 << 16


class StoppedError(Exception):
    """Somebody asked the run to end."""


class Run:
    """A run; ``stop`` may come from a signal's handler or another thread."""

    def __init__(
        self,
        workspace: Workspace,
        command: Sequence[str],
        *,
        hear: Callable[[str], None],
        tell: Callable[[Status], None] = lambda _status: None,
        port: int = PROGRESS_PORT,
        grace_s: float = 10.0,
        progress_file: Path | None = None,
        cgroups: Path | None = None,
    ) -> None:
        """Look at what earlier starts left.

        Args:
            workspace: Has the job and its images.
            command: How ODM is called; see ``command_line``.
            hear: Gets each line.
            tell: Hears whenever the run may have got further.
            port: Where ODM sends its progress.
            grace_s: From the wish to stop to the kill.
            progress_file: Where Argo Workflows wants to read of progress.
            cgroups: Control group of a container that is this run's alone.
        """
        self.status = Status(workspace, progress_file)
        self._workspace, self._command = workspace, command
        self._hear, self._tell, self._port, self._grace_s = hear, tell, port, grace_s
        self._mark = f"{VARIABLE}={workspace.folder}".encode()
        self._memory = meter(self._mark, cgroups)
        self._measured_s = 0.0
        self._stopping = False
        self._kill_at: float | None = None
        self._ended_s: float | None = None
        self._by_stage = True

    def stop(self) -> None:
        """Ask the run to end; ODM may tidy up for the time of grace."""
        self._stopping = True

    def run(self) -> int:
        """Work on the job and return how it ended: ODM's exit code, or one of those above."""
        if self.status.is_done and self._workspace.archive.is_file() and self._workspace.assets.is_file():
            return 0
        self.status.is_done = False
        message = None
        try:
            self.status.begin()
            code = self._whole()
        except StoppedError:
            self.status.exit_code = TERMINATED
            self.status.save()
            return TERMINATED
        except RefusedError as error:
            code, message = error.exit_code, str(error)
        except OSError as error:
            code, message = IO_FAILED, _said(error)
        self._end(code, message)
        return code

    def _end(self, code: int, message: str | None) -> None:
        self.status.exit_code, self.status.message, self.status.finished = code, message, True
        with suppress(OSError):  # on a full disk there is nothing left to say it with but the exit code
            self.status.save()

    def _whole(self) -> int:
        sweep(self._mark)  # what a start that was killed has left behind
        self._workspace.project.mkdir(parents=True, exist_ok=True)
        unpack_seed(self._workspace)
        link_images(self._workspace)
        arguments = command_line(self._command, self._workspace)
        self._by_stage = not splits(arguments)
        code = self._odm(arguments)
        self._check()
        if code == 0:
            self._archive()
        return code

    def _check(self) -> None:
        if self._stopping:
            raise StoppedError

    def _archive(self) -> None:
        self.status.advance(ARCHIVING, "archive")
        self._tick()
        shutil.copyfile(self._workspace.console, self._workspace.project / "task_output.txt")
        paths = products(self._workspace, self._workspace.job().get("outputs") or ())
        write_archive(self._workspace, paths, self._check)
        write_whole(self._workspace.assets, json.dumps([self._workspace.archive.name, *paths]))
        self.status.advance(ARCHIVED, "archive")

    def _odm(self, arguments: list[str]) -> int:
        console = Console(self._workspace.console, self._heard)
        told = _progress_socket(self._port)
        try:
            process = self._started(arguments)
            try:
                self._follow(process, console, told)
            finally:
                _signal(process, signal.SIGKILL)
                sweep(self._mark)
                code = process.wait()
                self.status.peak_memory_bytes = max(self.status.peak_memory_bytes, _largest_child())
        finally:
            console.close()
            if told:
                told.close()
        return 128 - code if code < 0 else code

    def _started(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        name, value = self._mark.decode().split("=", 1)
        environment = {**os.environ, name: value, "PYTHONUNBUFFERED": "1"}
        try:
            return subprocess.Popen(  # noqa: S603 - the operator's command; users' options are arguments
                arguments,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            raise NotStartedError(f"Could not start process ({error})") from error

    def _follow(self, process: subprocess.Popen[bytes], console: Console, told: socket.socket | None) -> None:
        """Listen until ODM has ended and everything that it said is kept."""
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if told:
                selector.register(told, selectors.EVENT_READ)
            is_open = True
            while (is_open and not self._is_silent(process)) or process.poll() is None:
                ready = {key.fileobj for key, _ in selector.select(TICK_S if is_open else LAST_TICK_S)}
                if told in ready:
                    self._take_progress(told, process)
                if process.stdout in ready and not _take_console(process.stdout, console):
                    is_open = False
                    selector.unregister(process.stdout)
                self._tick()
                self._urge(process)

    def _is_silent(self, process: subprocess.Popen[bytes]) -> bool:
        """Return whether ODM ended some time ago: only what it left behind holds its console open."""
        if process.poll() is None:
            return False
        self._ended_s = self._ended_s or time.monotonic()
        return time.monotonic() - self._ended_s > SILENCE_S

    def _take_progress(self, told: socket.socket | None, process: subprocess.Popen[bytes]) -> None:
        assert told
        with suppress(OSError, ValueError):
            name, process_id, project, percent = told.recv(1024).decode().strip().split("/")
            is_ours = belongs(int(process_id), self._mark, process.pid)
            if name == "PGUP" and project == PROJECT and is_ours:
                self.status.advance(float(percent) * ODM_SHARE)

    def _heard(self, line: str) -> None:
        if found := stage_of(line):
            stage, percent = found
            self.status.advance(percent * ODM_SHARE if self._by_stage else 0, stage)
        self._hear(line)

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._measured_s < MEASURE_EVERY_S:
            return
        self._measured_s = now
        self.status.peak_memory_bytes = max(self.status.peak_memory_bytes, self._memory())
        self.status.save()
        self._tell(self.status)

    def _urge(self, process: subprocess.Popen[bytes]) -> None:
        """Have ODM end if somebody wants that."""
        if not self._stopping:
            return
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace_s
            _signal(process, signal.SIGTERM)
        elif time.monotonic() > self._kill_at:
            _signal(process, signal.SIGKILL)
            sweep(self._mark)


def _largest_child() -> int:
    """Return what the largest single process held at its peak, which a short run may never be measured at."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _take_console(source: IO[bytes], console: Console) -> bool:
    """Read what is there and return whether more may come."""
    chunk = source.read(READ_BYTES)
    if chunk:
        console.feed(chunk)
    return chunk != b""


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _progress_socket(port: int) -> socket.socket | None:
    """Return what ODM's progress arrives at; None: somebody else has the port, and the console has to do."""
    told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        told.bind(("127.0.0.1", port))
    except OSError:
        told.close()
        return None
    told.settimeout(0)
    return told


def _said(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk of the workspace is full."
    return f"The workspace cannot be used: {error}"
