"""A RabbitMQ of our own: private ports, private folders, and ways to hurt it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.debian import ensure_installed
from tests.support.processes import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CTL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
PACKAGE = "rabbitmq-server"
STARTS = 3
START_WITHIN_S = 90
NO_BUSY_WAITING = "+sbwt none +sbwtdcpu none +sbwtdio none"

_SHARED = pytest.StashKey["RabbitMQ"]()


@dataclass
class RabbitMQ:
    """One broker process, with its state in ``folder``."""

    folder: Path
    port: int
    distribution_port: int
    name_server_port: int
    management_port: int | None = None
    """Of the management API, where it has one."""
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Return where to connect to."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the broker and wait until its port answers."""
        for _ in range(STARTS):  # on a busy machine Erlang gives up before its name server is up
            if self._starts():
                return
        raise RuntimeError(f"RabbitMQ did not start:\n{(self.folder / 'output').read_text()[-3000:]}")

    def _starts(self) -> bool:
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*_as_rabbitmq(), str(SERVER)],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_WITHIN_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.1)
        return False

    def kill9(self) -> None:
        """End the broker as a power cut would end it for its clients."""
        self._signal(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the broker and start it again with what was on its disk."""
        self.kill9()
        self.start()

    def freeze(self) -> None:
        """Stop the broker's processes where they are; its port stays open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl`` and return what it says."""
        done = subprocess.run(
            [*_as_rabbitmq(), str(CTL), *arguments],
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]}: {done.stderr.decode()}")
        return done.stdout.decode()

    def import_definitions(self, definitions: dict[str, Any]) -> None:
        """Declare what a definitions file says."""
        path = self.folder / "definitions.json"
        path.write_text(json.dumps(definitions))
        path.chmod(0o644)
        self.control("import_definitions", str(path))

    def add_vhost(self, name: str) -> None:
        """Make a virtual host that the guest may use."""
        allowed = ", ".join(['<<".*">>'] * 3)
        self.control(
            "eval",
            f'rabbit_vhost:add(<<"{name}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
            f'<<"guest">>, <<"{name}">>, {allowed}, <<"tests">>).',
        )  # two commands of rabbitmqctl would take twice as long

    def stop(self) -> None:
        """End the broker and the name server that it started, and remove their folder."""
        self._signal(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL:
            psutil.wait_procs(processes, timeout=30)
            if self.process is not None:
                self.process.wait(timeout=30)

    def _processes(self) -> list[psutil.Process]:
        """Return the processes that carry our folder in their environment, epmd included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("RABBITMQ_MNESIA_BASE") == str(self.folder / "mnesia")
        except (psutil.Error, OSError):
            return False

    def _answers(self) -> bool:
        with socket.socket() as client:
            client.settimeout(0.5)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self.name_server_port),
            "RABBITMQ_NODENAME": f"flightline{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": NO_BUSY_WAITING,
        }


@contextmanager
def running_rabbitmq(*, managed: bool = False) -> Iterator[RabbitMQ]:
    """Start a RabbitMQ for the length of a block, with a management API if asked; it leaves nothing behind.

    Raises:
        RuntimeError: It is not installed and cannot be installed here.
    """
    ensure_installed(str(SERVER), PACKAGE)
    folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
    (folder / "enabled_plugins").write_text("[rabbitmq_management]." if managed else "[].")
    broker = RabbitMQ(folder, free_port(), free_port(), free_port(), free_port() if managed else None)
    management = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {broker.management_port}\n"
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{broker.port}\nlog.file.level = warning\n"
        "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 1GB\n"
        "raft.wal_max_size_bytes = 64000000\n"  # as the chart has it
        f"{management if managed else ''}"
    )
    if _as_rabbitmq():
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "rabbitmq", "rabbitmq")
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def session_rabbitmq(config: pytest.Config) -> RabbitMQ:
    """Return the one broker of this test run, started by the first who asks, stopped at the end."""
    if _SHARED not in config.stash:
        stack = ExitStack()
        config.stash[_SHARED] = stack.enter_context(running_rabbitmq())
        config.add_cleanup(stack.close)
    return config.stash[_SHARED]


def _as_rabbitmq() -> list[str]:
    """Return the words that make root's command run as the package's user."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"]
