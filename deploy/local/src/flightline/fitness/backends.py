"""The backends: whether they answer, and let us do what the services do."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

from flightline.fitness.finding import Check
from flightline.session import PATIENCE
from shared.errors import PermanentError
from shared.settings import PlatformSettings

SKEW_AT_MOST_S = 60.0
"""S3 refuses signatures that are a quarter of an hour off; leases suffer much sooner."""
ANSWER_WITHIN_S = 10.0
PROBES = "flightline_doctor"
AMAZON = "https://s3.amazonaws.com/"


async def bus(settings: PlatformSettings) -> str:
    """Declare what all services declare, and have a message of our own pass, through a queue of our own."""
    from flightline.pipeline import SUBSCRIPTIONS  # noqa: PLC0415 - so that --help is quick
    from shared.messaging.bus import open_transport  # noqa: PLC0415
    from shared.messaging.port import Topology  # noqa: PLC0415

    async with open_transport(settings.bus, start_within=PATIENCE) as transport:
        await transport.declare(Topology(SUBSCRIPTIONS, settings.retry_ladder))
        await transport.ping()
    kind = settings.bus.partition(":")[0]
    if kind == "sqlite":
        return "sqlite: it answers"
    await _message_passes(settings.bus)
    return f"{kind}: declares, publishes, consumes"


async def _message_passes(url: str) -> None:
    import aio_pika  # noqa: PLC0415 - a fifth of a second
    from aio_pika.exceptions import AMQPError  # noqa: PLC0415

    try:
        async with await aio_pika.connect(url, timeout=ANSWER_WITHIN_S) as connection:
            channel = await connection.channel(publisher_confirms=True)
            queue = await channel.declare_queue(f"flightline.doctor.{uuid4().hex}", exclusive=True)
            await channel.default_exchange.publish(aio_pika.Message(b"well?"), routing_key=queue.name)
            message = await queue.get(timeout=ANSWER_WITHIN_S)
            await message.ack()
    except (AMQPError, OSError) as error:
        raise PermanentError(f"RabbitMQ does not let us declare, publish and consume: {error}") from error


async def management(settings: PlatformSettings) -> str:
    """Ask RabbitMQ's management API what ``flightline status`` asks, and what KEDA's scaling asks."""
    from flightline.overview.rabbitmq_api import unacknowledged  # noqa: PLC0415

    return f"tells of {len(await unacknowledged(settings))} queues"


async def state(settings: PlatformSettings) -> str:
    """Make, change, find and delete a document, with an index, as the services do."""
    from shared.state.open import open_store  # noqa: PLC0415
    from shared.state.port import CollectionSpec, Index, Record  # noqa: PLC0415

    at_us = time.time_ns() // 1000
    spec = CollectionSpec(PROBES, (Index(("at_us",)),))
    probe = Record(uuid4().hex, {"at_us": at_us}, expires_at=datetime.now(UTC) + timedelta(hours=1))
    async with open_store(settings.state) as store:
        await store.declare(spec)
        await store.purge_expired(PROBES, datetime.now(UTC))
        await store.insert(PROBES, probe)
        changed = Record(probe.id, {"at_us": at_us + 1}, revision=2, expires_at=probe.expires_at)
        await store.swap(PROBES, changed)
        page = await store.find(PROBES, {"at_us": at_us + 1})
        await store.delete(PROBES, changed)
    if probe.id not in [record.id for record in page.records]:
        raise PermanentError("a document that was written is not found by its index")
    return f"{settings.state.partition(':')[0]}: writes, finds, deletes"


async def objects(settings: PlatformSettings) -> str:
    """Write, read, list and delete an object below the prefix, as the services do."""
    from shared.platform import open_object_store  # noqa: PLC0415

    key, content = f"doctor/{uuid4().hex}", b"well?"
    async with open_object_store(settings) as store:
        await store.put(key, content)
        try:
            read = await store.read(key)
            listed = [each.key async for each in store.list("doctor/")]
        finally:
            await store.delete(key)
    if read != content or key not in listed:
        raise PermanentError("an object that was written is not read, or not listed, as it was")
    return f"{settings.objects.partition(':')[0]}: writes, reads, lists, deletes"


async def clock(settings: PlatformSettings) -> str:
    """Compare our clock with the object store's."""
    from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415

    url = settings.s3_endpoint or AMAZON
    async with (
        ClientSession(timeout=ClientTimeout(total=ANSWER_WITHIN_S)) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        told = answer.headers.get("Date")
    if told is None:
        return "the object store does not tell the time"
    skew_s = (datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds()
    if abs(skew_s) > SKEW_AT_MOST_S:
        raise PermanentError(f"our clock is {skew_s:+.0f} s off that of the object store")
    return f"{skew_s:+.0f} s off the object store's"


def checks(settings: PlatformSettings) -> list[Check]:
    """Return what there is to look at."""
    found = [
        Check(
            "bus",
            bus,
            "FLIGHTLINE_BUS: address, user, password, virtual host; the user needs configure, write and read"
            " on everything in it. A queue of another shape: delete it once it is empty, or use another host",
        ),
        Check(
            "state",
            state,
            "FLIGHTLINE_STATE: address, user, password, database; the user needs readWrite there. A damaged"
            " file: docs/operations.md, Backup and restore",
        ),
        Check(
            "objects",
            objects,
            "FLIGHTLINE_OBJECTS and FLIGHTLINE_S3_…: endpoint, keys; they need to put, get, list and delete"
            " below the prefix",
        ),
    ]
    if settings.bus_management is not None:
        remedy = (
            "FLIGHTLINE_BUS_MANAGEMENT: the plugin rabbitmq_management, and a user with the tag monitoring"
        )
        found.append(Check("management", management, remedy))
    if settings.objects.startswith("s3:"):
        found.append(Check("clock", clock, "have the time set by NTP, here or there"))
    return found
