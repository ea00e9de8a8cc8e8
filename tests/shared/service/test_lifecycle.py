"""How a service starts and how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import (
    InvalidInputError,
    TransientError,
)
from shared.service import Service
from shared.service.application import create_service
from shared.service.serving import serving
from shared.settings import ServiceSettings
from tests.shared.service.kites import kites, no_resources, noting


async def test_while_draining_it_answers_but_is_unready() -> None:
    finished = asyncio.Event()

    async with kites(lambda service: service.on_drain(lambda: waited(finished))) as running:
        draining = asyncio.create_task(running.service.drain())
        await running.service.draining.wait()
        ready, kite = await running.http.get("/readyz"), await running.http.get("/kites/anna")
        finished.set()
        await draining

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert kite.status_code == 200


async def waited(event: asyncio.Event) -> None:
    await event.wait()


async def test_work_ends_before_loops_and_resources() -> None:
    order: list[str] = []

    def prepare(service: Service) -> None:
        service.on_drain(noting(order, "consumer stopped"))
        service.on_drain(noting(order, "outbox flushed"))
        service.background("relay", until_cancelled(order))

    async with kites(prepare) as running:
        await running.http.get("/healthz")

    assert order == ["relay runs", "consumer stopped", "outbox flushed", "relay ended"]


def until_cancelled(order: list[str]) -> Callable[[], Awaitable[None]]:
    async def loop() -> None:
        order.append("relay runs")
        try:
            await asyncio.Event().wait()
        finally:
            order.append("relay ended")

    return loop


async def test_a_drain_that_fails_does_not_stop_the_others() -> None:
    order: list[str] = []

    async def fail() -> None:
        raise TransientError("no broker")

    def prepare(service: Service) -> None:
        service.on_drain(fail)
        service.on_drain(noting(order, "outbox flushed"))

    async with kites(prepare):
        pass

    assert order == ["outbox flushed"]


async def test_a_drain_is_cut_off_after_the_grace_period() -> None:
    def prepare(service: Service) -> None:
        service.grace = service.hand_back = timedelta(seconds=0.05)
        service.on_drain(lambda: waited(asyncio.Event()))

    async with asyncio.timeout(5):
        async with kites(prepare) as running:
            pass

    assert running.events == ["closed"]


async def test_resources_that_cannot_be_opened_stop_the_start() -> None:
    def prepare(_: Service) -> None:
        raise TransientError("no broker")

    with pytest.raises(TransientError, match="no broker"):
        async with kites(prepare):
            pass


async def test_a_taken_port_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = ServiceSettings(port=other.getsockname()[1])
        app = create_service("kites", no_resources, settings=settings)

        with pytest.raises(
            InvalidInputError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"
        ):
            async with serving(app, settings):
                pass


SCRIPT = """
import asyncio
from contextlib import asynccontextmanager
from pydantic_settings import SettingsConfigDict
from shared.service.application import create_service
from shared.service.command import start
from shared.settings import Port, ServiceSettings

@asynccontextmanager
async def resources(service):
    async def stop():
        print("stopping", flush=True)
        await asyncio.sleep(SECONDS)
        print("finished", flush=True)
    service.on_drain(stop)
    print("opened", flush=True)
    yield {}
    print("closed", flush=True)

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="KITE_")
    port: Port = 0

def create_app(settings):
    return create_service("kites", resources, settings=settings)

start("shared", "Flies kites.", Settings, create_app)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is a POSIX signal")
def test_sigterm_ends_the_process_in_order(tmp_path: Path) -> None:
    with started(tmp_path, seconds="0.1") as process:
        process.send_signal(signal.SIGTERM)

        output, _ = process.communicate(timeout=20)

    assert output.split() == ["stopping", "finished", "closed"]
    assert process.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is a POSIX signal")
def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    with started(tmp_path, seconds="60") as process:
        process.send_signal(signal.SIGTERM)
        await_line(process, "stopping")

        process.send_signal(signal.SIGTERM)

        process.communicate(timeout=20)

    assert process.returncode == -signal.SIGTERM


def test_a_setting_that_cannot_be_used_is_told_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "kites.py").write_text(SCRIPT.replace("SECONDS", "0"))
    environment = {**os.environ, "KITE_PORT": "door"}

    command = [sys.executable, str(tmp_path / "kites.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.startswith("shared: KITE_PORT=door: expected a valid integer")
    assert "Traceback" not in ended.stderr


def test_help_names_every_setting_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "kites.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "kites.py"), "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "Flies kites." in ended.stdout
    assert all(f"  KITE_{name.upper()}\n" in ended.stdout for name in ServiceSettings.model_fields)
    assert "opened" not in ended.stdout


@contextmanager
def started(folder: Path, *, seconds: str) -> Iterator[subprocess.Popen[str]]:
    script = folder / "kites.py"
    script.write_text(SCRIPT.replace("SECONDS", seconds))
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            await_line(process, "opened")
            yield process
        finally:
            process.kill()


def await_line(process: subprocess.Popen[str], expected: str) -> None:
    assert process.stdout
    assert process.stdout.readline().strip() == expected
