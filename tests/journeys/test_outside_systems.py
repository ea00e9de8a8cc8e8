"""Systems that know nothing of us but the events and the broker's address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractQueue

from flightline.pipeline import Pipeline, running_pipeline
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.port import EXCHANGE, DeadLetter
from shared.objects.s3_client import Server, s3_client
from tests.support.columns import Column, Inventory, inventory, one_flight
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@pytest.fixture
async def prefix(s3: S3Server, flight: Path) -> str:
    """URI of the flight in a bucket of its owner's."""
    bucket = s3.new_bucket()
    async with s3_client(Server(s3.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)) as client:
        for photo in photos(flight):
            key = f"flights/field 7/images/{photo.name}"
            await client.put_object(Bucket=bucket, Key=key, Body=photo.read_bytes())
    return f"s3://{bucket}/flights/field%207"


@pytest.fixture
async def pipeline(servers: Column) -> AsyncIterator[Pipeline]:
    """Run all services on servers."""
    async with running_pipeline(servers.settings, {}) as running:
        yield running


@asynccontextmanager
async def plain_client(servers: Column) -> AsyncIterator[tuple[AbstractChannel, AbstractQueue]]:
    """Connect as anybody would; the queue gets every ``task-completed``."""
    async with await aio_pika.connect(servers.settings.bus) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(EXCHANGE, "task-completed")
        yield channel, queue


async def publish(channel: AbstractChannel, body: bytes) -> None:
    exchange = await channel.get_exchange(EXCHANGE)
    message = aio_pika.Message(body, content_type="application/cloudevents+json")
    await exchange.publish(message, "flight-found")


def flight_found(source: str, **data: Any) -> bytes:
    """Return an event as an outside system writes it, by the published schema alone."""
    document = {
        "specversion": "1.0",
        "id": uuid4().hex,
        "source": "elsewhere/finder",
        "type": "flight-found",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "flight_id": "field-7",
            "version": "2026-05-01",
            "name": "field 7",
            "source": source,
            "images_path": "images",
            "image_count": 6,
            "total_bytes": 1,
            **data,
        },
    }
    return json.dumps(document).encode()


async def next_document(queue: AbstractQueue) -> dict[str, Any]:
    async with asyncio.timeout(90), queue.iterator() as messages:
        async for message in messages:
            await message.ack()
            return dict(json.loads(message.body))
    raise AssertionError


async def test_a_flight_told_of_over_amqp_is_processed_to_its_end(
    servers: Column, pipeline: Pipeline, prefix: str, flight: Path
) -> None:
    async with plain_client(servers) as (channel, queue):
        for body in [flight_found(prefix)] * 2:
            await publish(channel, body)
        told = (await next_document(queue))["data"]
    size = await pipeline.platform.objects.stat(f"products/{told['task_id']}/all.zip")
    names = [f"images/{photo.name}" for photo in photos(flight)]

    assert (told["status"], told["flight_id"], told["summary"]["photos_used"]) == ("completed", "field-7", 6)
    assert size is not None
    assert await settled(servers) == one_flight(*names)


def photos(flight: Path) -> list[Path]:
    return sorted(flight.glob("*.JPG"))


async def settled(servers: Column) -> Inventory:
    """Return the inventory once discovery has heard of the end, too."""
    async with asyncio.timeout(30):
        while True:
            found = await inventory(servers)
            if "completed" in found.flights:
                return found
            await asyncio.sleep(0.1)


async def test_a_source_that_may_not_be_read_is_told_as_a_failure(
    servers: Column, pipeline: Pipeline
) -> None:
    assert pipeline.platform.settings.readable_folders == ()
    async with plain_client(servers) as (channel, queue):
        await publish(channel, flight_found("file:///etc"))
        told = (await next_document(queue))["data"]

    assert (told["kind"], told["status"]) == ("ingest", "failed")
    assert "FLIGHTLINE_FOLDERS" in told["error"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"no event at all", "body: no JSON"),
        (flight_found("s3://b/p", flight_id="a b"), "data.flight_id"),
        (flight_found("s3://b/p", image_count="many"), "data.image_count"),
    ],
)
async def test_a_malformed_event_lies_among_the_dead_letters(
    servers: Column, pipeline: Pipeline, body: bytes, error: str
) -> None:
    async with plain_client(servers) as (channel, _):
        await publish(channel, body)
    letter = await first_letter(pipeline)

    assert (letter.queue, letter.death.reason, letter.message.body) == (
        "ingest.flight-found",
        "unreadable",
        body,
    )
    assert error in letter.death.error


async def first_letter(pipeline: Pipeline) -> DeadLetter:
    letters = DeadLetters(pipeline.platform.transport, pipeline.platform.topology)
    async with asyncio.timeout(15):
        while True:
            async for letter in letters.list():
                return letter
            await asyncio.sleep(0.1)
