"""One trace from the request to the task's end: over RabbitMQ, a retry, a dead letter and a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import generate_latest

import discovery.config
import discovery.main
import discovery.resources
import ingest.config
import ingest.resources
import odm_gateway.config
import odm_gateway.resources
from odm_gateway.config import EngineKind
from shared.errors import PermanentError, TransientError
from shared.events import Event, TaskCompleted
from shared.messaging.dead_letters import EVERYTHING, DeadLetters
from shared.messaging.port import Subscription
from shared.platform import Platform, open_platform
from shared.service.running import running
from shared.service.serving import serving
from shared.settings import PlatformSettings
from shared.tracing import traceparent
from tests.support.collector import Collector, open_collector
from tests.support.kubernetes.cluster import simulated_cluster, write_kubeconfig
from tests.support.kubernetes.storage import Change
from tests.support.metric_labels import strange_labels
from tests.support.rabbitmq import session_rabbitmq
from tests.support.until import until

LISTENER = Subscription("listener", TaskCompleted.type)
SUBSCRIPTIONS = (
    LISTENER,
    *discovery.resources.SUBSCRIPTIONS,
    *ingest.resources.SUBSCRIPTIONS,
    *odm_gateway.resources.SUBSCRIPTIONS,
)
JPEG = b"\xff\xd8\xff\xe0\x00\x02 no real image \xff\xd9"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = CALLER.split("-")[1]


@dataclass
class Listener:
    """Hears of a task's end: fails for now, then for good, and then, when it is replayed, does not."""

    outcomes: list[Exception | None] = field(
        default_factory=lambda: [TransientError("not now"), PermanentError("never"), None]
    )
    heard_in: list[str | None] = field(default_factory=list)
    events: list[Event[TaskCompleted]] = field(default_factory=list)

    async def __call__(self, event: Event[TaskCompleted]) -> None:
        """Handle one attempt."""
        self.heard_in.append(traceparent())
        self.events.append(event)
        if (error := self.outcomes.pop(0)) is not None:
            raise error


@dataclass(frozen=True)
class Scene:
    """Services on RabbitMQ, a cluster, a listener and a collector."""

    platform: Platform
    discovery: httpx.AsyncClient
    listener: Listener
    workflows: list[Any]
    """As they were made: the gateway deletes them behind their end."""


@asynccontextmanager
async def scene(home: Path, bus_url: str, collector: Collector) -> AsyncIterator[Scene]:
    settings = PlatformSettings(
        home=home, bus=bus_url, folders=(home,), retry_ladder=("200ms",), otlp_endpoint=collector.url
    )
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(settings, SUBSCRIPTIONS))
        cluster = await stack.enter_async_context(simulated_cluster(platform.objects))
        workflows: list[Any] = []
        cluster.api.storage.on_change.append(partial(keep_new, workflows))
        kubeconfig = write_kubeconfig(home / "kubeconfig", simulated=cluster)
        gateway = odm_gateway.config.Settings(
            engine=EngineKind.ARGO, argo_kubeconfig=kubeconfig, argo_poll="100ms", argo_look_every="1s"
        )
        own = discovery.config.Settings(port=0, settle="300ms")
        consumer = platform.bus("listener").consumer()
        listener = Listener()
        consumer.on(TaskCompleted, listener)
        for name, resources, chosen in (
            ("odm-gateway", odm_gateway.resources.resources(gateway, platform), gateway),
            (
                "ingest",
                ingest.resources.resources(ingest.config.Settings(), platform),
                ingest.config.Settings(),
            ),
        ):
            await stack.enter_async_context(running(name, resources, chosen))
        app = discovery.main.create_app(own, platform)
        url = await stack.enter_async_context(serving(app, own))
        await stack.enter_async_context(consumer)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
        yield Scene(platform, http, listener, workflows)


def keep_new(kept: list[Any], change: Change) -> None:
    if change.plural == "workflows" and change.before is None:
        kept.append(change.after)


@pytest.fixture
def bus_url(request: pytest.FixtureRequest) -> str:
    broker = session_rabbitmq(request.config)
    vhost = f"traces-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    return f"{broker.url}{vhost}"


def flight_in(home: Path) -> Path:
    folder = home / "meadow"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(JPEG + bytes([number]))
    return folder


async def replayed(on: Scene) -> None:
    """Wait until the listener's event is a dead letter, and put it back."""
    letters = DeadLetters(on.platform.transport, on.platform.topology)

    async with asyncio.timeout(60):
        while not [one async for one in letters.list()]:
            await asyncio.sleep(0.1)
    assert await letters.replay(EVERYTHING) == 1
    await until(lambda: not on.listener.outcomes, within_s=60)


async def test_a_flight_is_one_trace_from_the_request_to_the_replayed_dead_letter(
    tmp_path: Path, bus_url: str
) -> None:
    of_other_tests = strange_labels(generate_latest().decode())
    async with open_collector() as collector:
        async with scene(tmp_path, bus_url, collector) as on:
            answer = await on.discovery.post(
                "/api/discover",
                json={"source": f"file://{flight_in(tmp_path)}"},
                headers={"traceparent": CALLER},
            )
            assert answer.status_code == 202, answer.text
            await replayed(on)

        told = {span.name for span in collector.spans if span.trace_id == TRACE_ID}
        assert told >= {
            "POST /api/discover",
            "announce flight",
            "send flight-found",
            "process ingest.flight-found",
            "work ingest_transfers",
            "send images-staged",
            "process odm-gateway.images-staged",
            "work odm_tasks",
            "pod odm",
            "send task-completed",
            "process listener.task-completed",
        }
        [request] = collector.named("POST /api/discover")
        assert (request.service, request.kind, request.parent_id) == (
            "discovery",
            "SERVER",
            CALLER.split("-")[2],
        )
        attempts = collector.named("process listener.task-completed")
        assert [one.attributes["flightline.attempt"] for one in attempts] == [1, 2, 1]
        assert [one.error for one in attempts] == ["not now", "never", None]
        assert collector.ancestors(attempts[-1]) == [
            "send task-completed",
            "work odm_tasks",
            "process odm-gateway.images-staged",
            "send images-staged",
            "work ingest_transfers",
            "process ingest.flight-found",
            "send flight-found",
            "announce flight",
            "POST /api/discover",
        ]
        assert len({one.parent_id for one in attempts}) == 1
        assert {str(one).split("-")[1] for one in on.listener.heard_in} == {TRACE_ID}
        assert len({event.id for event in on.listener.events}) == 1

        [work] = collector.named("work odm_tasks")
        [workflow] = on.workflows
        given = {one["name"]: one["value"] for one in workflow["spec"]["arguments"]["parameters"]}
        context = f"00-{TRACE_ID}-{work.span_id}-01"
        assert (
            given["traceparent"]
            == workflow["metadata"]["annotations"]["flightline.io/traceparent"]
            == context
        )
        exposed = generate_latest().decode()
        assert strange_labels(exposed, known={"listener"}) <= of_other_tests
        pods = {
            one.name: one.attributes.get("process.exit.code")
            for one in collector.spans
            if one.parent_id == work.span_id
        }
        assert pods.keys() >= {"pod fetch", "pod odm", "pod publish"}
