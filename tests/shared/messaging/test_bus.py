from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.messaging.bus import Bus, open_bus, open_transport
from shared.messaging.progress import Progress
from tests.support.events import one_queue
from tests.support.processes import free_port
from tests.support.rabbitmq import RabbitMQ

SOON = timedelta(seconds=0.5)


@pytest.mark.parametrize("url", ["redis://localhost", "sqlite://relative.db", "bus.db", ""])
def test_a_url_of_no_known_kind_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(InvalidInputError, match="sqlite:///"):
        open_transport(url)


async def test_a_url_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidInputError) as refused:
        async with open_transport("amqp://me:pass1234@host:notaport/"):
            pass

    assert "pass1234" not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_a_broker_that_is_not_there_is_named_without_the_password() -> None:
    port = free_port()

    with capture_logs() as logs, pytest.raises(TransientError, match=f"127.0.0.1:{port}") as error:
        async with open_bus(
            f"amqp://me:pass1234@127.0.0.1:{port}/", one_queue(), service="x", start_within=SOON
        ):
            pass

    assert "pass1234" not in f"{error.value!r} {error.value.__cause__!r} {logs}"
    assert {log["event"] for log in logs} >= {"rabbitmq.unreachable"}


async def test_a_wrong_password_is_said_at_once(rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = rabbitmq.url.replace("guest:guest", "guest:pass1234")

    with capture_logs() as logs, pytest.raises(PermanentError, match="refused user or password"):
        async with asyncio.timeout(10), open_bus(url, one_queue(), service="ingest"):
            pass

    assert "pass1234" not in f"{logs} {caplog.text}"


async def test_a_broker_that_comes_late_is_waited_for(rabbitmq: RabbitMQ) -> None:
    rabbitmq.kill9()
    opened = asyncio.create_task(ping(rabbitmq.url))
    await asyncio.sleep(1.5)

    await asyncio.to_thread(rabbitmq.start)

    await asyncio.wait_for(opened, 20)


async def ping(url: str) -> None:
    async with open_bus(url, one_queue(), service="ingest") as bus:
        await bus.transport.ping()


def progress(done: int, total: int = 100, stage: str = "stage") -> Progress:
    return Progress(flight_id="f1", stage=stage, done=done, total=total)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with open_bus(f"sqlite://{tmp_path}/bus.db", one_queue(), service="x") as bus:
        yield bus


async def test_progress_is_thinned_out_and_its_last_word_told(bus: Bus) -> None:
    heard: list[int] = []
    async with bus.transport.hear() as messages, asyncio.timeout(30):
        for done in range(101):
            await bus.progress(progress(done))
        while not heard or heard[-1] != 100:
            heard.append(Progress.model_validate_json(await anext(messages)).done)

    assert heard == [0, 100]


async def test_progress_that_was_held_back_is_told_when_nothing_newer_comes(bus: Bus) -> None:
    async with bus.transport.hear() as messages, asyncio.timeout(30):
        for done in (1, 2, 3):
            await bus.progress(progress(done))
        told = [Progress.model_validate_json(await anext(messages)).done for _ in range(2)]

    assert told == [1, 3]


async def test_stages_are_thinned_out_apart(bus: Bus) -> None:
    async with bus.transport.hear() as messages, asyncio.timeout(30):
        await bus.progress(progress(1, stage="stage"))
        await bus.progress(progress(1, stage="scale"))
        told = {Progress.model_validate_json(await anext(messages)).stage for _ in range(2)}

    assert told == {"stage", "scale"}
