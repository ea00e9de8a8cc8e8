"""Liveness, readiness, and loops that die."""

import asyncio
from collections.abc import Callable

from shared.errors import (
    TransientError,
)
from shared.service import Service
from shared.service.loops import Supervised
from tests.shared.service.kites import kites, noting


async def test_readiness_names_each_check_that_fails() -> None:
    async def broker_is_gone() -> None:
        raise TransientError("no answer from amqp://user:hunter2@host")

    def prepare(service: Service) -> None:
        service.ready_when("state", lambda: True)
        service.ready_when("bus", broker_is_gone)
        service.ready_when("consumer", lambda: False)

    async with kites(prepare) as running:
        answer = await running.http.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["failing"] == {
        "bus": "TransientError: no answer from amqp://user:***@host",
        "consumer": "does not hold",
    }


async def test_a_check_that_hangs_fails() -> None:
    async with kites(lambda service: service.ready_when("bus", lambda: asyncio.sleep(60))) as running:
        running.service.health.check_at_most_s = 0.05
        answer = await running.http.get("/readyz")

    assert answer.json()["failing"] == {"bus": "no answer within 0.05 s"}


async def test_liveness_does_not_depend_on_the_broker() -> None:
    async with kites(lambda service: service.ready_when("bus", lambda: False)) as running:
        answer = await running.http.get("/healthz")

    assert answer.status_code == 200


async def test_many_probes_ask_the_broker_once() -> None:
    asked = []

    async with kites(lambda service: service.ready_when("bus", lambda: asked.append(1))) as running:
        await asyncio.gather(*(running.http.get("/readyz") for _ in range(20)))

    assert len(asked) == 1


async def test_a_loop_that_dies_makes_the_service_unready() -> None:
    async def loop() -> None:
        raise ValueError("no such collection")

    async with kites(lambda service: service.background("relay", loop)) as running:
        answer = await running.http.get("/readyz")

    assert answer.json()["failing"]["loop relay"] == "RuntimeError: died of ValueError: no such collection"


async def test_a_loop_that_died_is_started_again_and_heals() -> None:
    runs: list[int] = []

    async def loop() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise asyncio.CancelledError  # as a client library that loses its connection
        await asyncio.Event().wait()

    supervised = Supervised("kites", "relay", loop, first_wait_s=0.01, steady_after_s=0.1)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(supervised.supervise())
        await until_raises(supervised.check)
        await until_quiet(supervised.check)
        task.cancel()

    assert len(runs) == 3


async def until_raises(check: Callable[[], None]) -> None:
    while True:
        try:
            check()
        except RuntimeError:
            return
        await asyncio.sleep(0.005)


async def until_quiet(check: Callable[[], None]) -> None:
    while True:
        try:
            check()
        except RuntimeError:
            await asyncio.sleep(0.01)
        else:
            return


async def test_a_loop_that_returns_is_over_and_no_fault() -> None:
    runs: list[str] = []

    async with kites(lambda service: service.background("once", noting(runs, "ran"))) as running:
        answer = await running.http.get("/readyz")

    assert (runs, answer.status_code) == (["ran"], 200)
