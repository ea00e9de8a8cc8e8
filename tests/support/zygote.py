"""Processes of a command, started quickly and often: forked from one that has imported everything already.

Each is a process of its own, and is killed as any other; only the second of importing is paid once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CODE = r"""
import ctypes, importlib, json, os, signal, sys, traceback

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

def be(ask):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: killed tests leave nothing running
    output = os.open(ask["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    errors = ask["errors"]
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if errors else output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(ask["environment"])
    sys.argv = ask["command"]
    code = 1
    try:
        module, _, function = ask["main"].partition(":")
        returned = getattr(importlib.import_module(module), function)()
        code = returned if isinstance(returned, int) else 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with open(ask["log"] + f".{os.getpid()}", "w") as file:
            file.write(str(code))
        os._exit(code)

for name in sys.argv[1:]:
    importlib.import_module(name)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    reap()
    pid = os.fork()
    if pid == 0:
        be(json.loads(line))
    print(pid, flush=True)
reap()
"""
_ENDS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the command; held by a handle, as the number of one that has ended may be another's."""

    pid: int
    handle: int
    log: Path

    def kill(self) -> None:
        """Kill it, at once and for good."""
        self.strike()
        self.wait()

    def strike(self) -> None:
        """Kill it, without waiting for its end."""
        self.signal(signal.SIGKILL)

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        self.wait()

    def close(self) -> None:
        """Kill it, and let go of the handle."""
        self.kill()
        os.close(self.handle)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def is_over(self, within_s: float = 0.0) -> bool:
        """Return whether it has ended, waiting for that a while."""
        ending = select.poll()
        ending.register(self.handle, select.POLLIN)
        return bool(ending.poll(within_s * 1000))

    def wait(self, within_s: float = _ENDS_WITHIN_S) -> int | None:
        """Wait for its end and return the exit code; none if it was killed."""
        if not self.is_over(within_s):
            raise TimeoutError(f"the process goes on after {within_s:g} s: {self.told()[-2000:]}")
        code = self.log.with_name(f"{self.log.name}.{self.pid}")
        return int(code.read_text()) if code.exists() else None

    def told(self) -> str:
        """Return what it, and others with the same log, wrote."""
        return self.log.read_text() if self.log.exists() else ""


@dataclass(slots=True)
class Zygote:
    """A process that has imported what its children need."""

    process: subprocess.Popen[str]

    def start(
        self,
        main: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        errors: Path | None = None,
    ) -> Child:
        """Start a process that calls ``module:function``, as a command of that name would.

        Its standard error goes to ``errors``, or to the log as well.
        """
        ask = {
            "main": main,
            "command": [*command],
            "environment": {**environment},
            "log": str(log),
            "errors": str(errors) if errors else None,
        }
        self._in.write(json.dumps(ask) + "\n")
        self._in.flush()
        pid = int(self._out.readline())
        return Child(pid, os.pidfd_open(pid), log)  # the number is its own until the zygote is asked again

    @property
    def _in(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def _out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


@contextmanager
def zygote(*modules: str) -> Iterator[Zygote]:
    """Run one until the block ends; its children must have ended before."""
    command = [sys.executable, "-W", "ignore", "-c", _CODE, *modules]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    parent = Zygote(process)
    try:
        assert process.stdout.readline() == "ready\n"
        yield parent
    finally:
        process.stdin.close()
        process.wait(_ENDS_WITHIN_S)
        process.stdout.close()
