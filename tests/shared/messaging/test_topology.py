from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import aio_pika
import pytest

from shared.errors import PermanentError
from shared.messaging.amqp import open_amqp
from shared.messaging.port import DEFAULT_LADDER, Message, Subscription, Topology
from shared.messaging.topology import dead_queue, declarations, definitions, retry_queue
from tests.support.rabbitmq import RabbitMQ

DECLARED = "".join(
    f'lists:sort(rabbit_{kind}:info_all(<<"/">>, [name, arguments])){end}'
    for kind, end in (("amqqueue", " ++ "), ("exchange", "."))
)
"""What the broker has, with all arguments, in words of its own."""


def topology() -> Topology:
    mark = uuid4().hex[:8]
    return Topology((Subscription(f"ingest-{mark}", f"found-{mark}"),))


def test_every_queue_has_a_rung_per_delay_and_dead_letters() -> None:
    names = {queue.name for queue in declarations(topology()).queues}

    assert len(names) == 1 + 1 + len(DEFAULT_LADDER) + 1  # unrouted, work, rungs, dead


def test_rungs_are_named_after_their_delay() -> None:
    assert retry_queue("ingest.found", timedelta(minutes=2)) == "ingest.found.retry.120s"
    assert retry_queue("ingest.found", timedelta(milliseconds=1500)) == "ingest.found.retry.1500ms"


def test_every_queue_survives_and_refuses_rather_than_drops() -> None:
    exported = definitions(topology())["queues"]

    assert all(queue["durable"] and queue["arguments"]["x-queue-type"] == "quorum" for queue in exported)
    assert all(
        queue["arguments"]["x-dead-letter-strategy"] == "at-least-once"
        and queue["arguments"]["x-overflow"] == "reject-publish"
        for queue in exported
        if "x-dead-letter-exchange" in queue["arguments"]
    )


async def test_imported_definitions_are_what_a_service_declares(rabbitmq: RabbitMQ) -> None:
    wanted = topology()
    rabbitmq.import_definitions(definitions(wanted))
    before = rabbitmq.control("eval", DECLARED)

    async with open_amqp(rabbitmq.url) as transport:
        await transport.declare(wanted)
        await transport.publish(Message(b"{}", wanted.subscriptions[0].event_type, "e1"))

    assert wanted.subscriptions[0].queue in before
    assert rabbitmq.control("eval", DECLARED) == before


async def test_a_queue_of_another_shape_is_left_alone_and_named(rabbitmq: RabbitMQ) -> None:
    wanted = topology()
    rung = retry_queue(wanted.subscriptions[0].queue, wanted.ladder[0])
    arguments = next(dict(queue.arguments) for queue in declarations(wanted).queues if queue.name == rung)
    async with await aio_pika.connect(rabbitmq.url) as connection, connection.channel() as channel:
        await channel.declare_queue(rung, durable=True, arguments=arguments | {"x-message-ttl": 7000})

    async with open_amqp(rabbitmq.url) as transport:
        with pytest.raises(PermanentError, match=f"declare queue {rung}: .*x-message-ttl.*'5000'.*'7000'"):
            await transport.declare(wanted)


async def test_a_changed_ladder_adds_rungs_beside_the_old_ones(rabbitmq: RabbitMQ) -> None:
    old = topology()
    new = replace(old, ladder=(timedelta(seconds=7),))

    async with open_amqp(rabbitmq.url) as transport:
        await transport.declare(old)
        await transport.declare(new)
        depths = [
            await transport.depth(retry_queue(old.subscriptions[0].queue, delay)) for delay in new.ladder
        ]
        assert depths == [0]
        assert await transport.depth(dead_queue(old.subscriptions[0].queue)) == 0
