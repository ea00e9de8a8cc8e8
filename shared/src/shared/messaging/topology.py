"""What there is on RabbitMQ, described in one place: declared by services, exported for an operator.

Everything is durable and every shared queue is a quorum queue, which is valid from RabbitMQ 3.10 to 4.3.

An event that no queue is bound to takes one of two ways out of ``flightline.events``, whose alternate
exchange is ``flightline.unrouted``. From an outside publisher, who may not ask for returns, it goes on to
that one's own alternate exchange and so into the queue. Ours carry ``flightline-mandatory`` and are led into
``flightline.returned``, where nothing is bound, so that the broker returns them and ``publish`` can say so;
the publisher then puts them into the queue itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.messaging.port import EXCHANGE, PROGRESS_EXCHANGE, UNROUTED_QUEUE, Subscription, Topology

UNROUTED_EXCHANGE = "flightline.unrouted"
KEPT_EXCHANGE = "flightline.unrouted.kept"
RETURNED_EXCHANGE = "flightline.returned"
MANDATORY_HEADER = "flightline-mandatory"

DELIVERY_LIMIT = 50
"""A backstop against messages that kill their consumer; every lost connection counts as a delivery too."""
NO_DELIVERY_LIMIT = 1_000_000_000
"""RabbitMQ 4 gives every quorum queue a limit of 20, and looking at dead letters counts; 3.10 knows no -1."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange, durable."""

    name: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A quorum queue."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """From an exchange to a queue, or to another exchange."""

    source: str
    destination: str
    routing_key: str = ""
    to_exchange: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declarations:
    """Things in the order in which they can be declared."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]


def retry_queue(queue: str, delay: timedelta) -> str:
    """Return the name of the rung of ``queue`` that holds a message for ``delay``."""
    ms = delay // timedelta(milliseconds=1)
    return f"{queue}.retry.{ms}ms" if ms % 1000 else f"{queue}.retry.{ms // 1000}s"


def dead_queue(queue: str) -> str:
    """Return the name of the dead letters of ``queue``; what nobody wanted is looked at as those are."""
    return queue if queue == UNROUTED_QUEUE else f"{queue}.dead"


def work_queue(dead: str) -> str | None:
    """Return whose dead letters lie in the queue ``dead``; None: it is none of dead letters."""
    queue = dead.removesuffix(".dead")
    return queue if queue != dead or dead == UNROUTED_QUEUE else None


def declarations(topology: Topology) -> Declarations:
    """Return everything that ``topology`` needs."""
    unrouted = Queue(UNROUTED_QUEUE, _quorum({"x-delivery-limit": NO_DELIVERY_LIMIT}))
    parts = [subscription_declarations(each, topology) for each in topology.subscriptions]
    return Declarations(
        exchanges=(
            Exchange(RETURNED_EXCHANGE, "fanout"),
            Exchange(KEPT_EXCHANGE, "fanout"),
            Exchange(UNROUTED_EXCHANGE, "headers", {"alternate-exchange": KEPT_EXCHANGE}),
            Exchange(EXCHANGE, "topic", {"alternate-exchange": UNROUTED_EXCHANGE}),
            Exchange(PROGRESS_EXCHANGE, "topic"),
        ),
        queues=(unrouted, *(queue for part in parts for queue in part.queues)),
        bindings=(
            Binding(KEPT_EXCHANGE, UNROUTED_QUEUE),
            Binding(
                UNROUTED_EXCHANGE,
                RETURNED_EXCHANGE,
                to_exchange=True,
                arguments={"x-match": "all", MANDATORY_HEADER: "true"},
            ),
            *(binding for part in parts for binding in part.bindings),
        ),
    )


def subscription_declarations(subscription: Subscription, topology: Topology) -> Declarations:
    """Return the work queue of ``subscription``, its retry ladder, its dead letters and its binding."""
    queue = subscription.queue
    work = Queue(queue, _forwarding_to(dead_queue(queue)) | {"x-delivery-limit": DELIVERY_LIMIT})
    dead = Queue(dead_queue(queue), _quorum({"x-delivery-limit": NO_DELIVERY_LIMIT}))
    rungs = [
        Queue(
            retry_queue(queue, delay),
            _forwarding_to(queue) | {"x-message-ttl": delay // timedelta(milliseconds=1)},
        )
        for delay in topology.ladder
    ]
    binding = Binding(EXCHANGE, queue, subscription.event_type)
    return Declarations((), (dead, *rungs, work), (binding,))


def definitions(topology: Topology, *, vhost: str = "/") -> dict[str, Any]:
    """Return ``topology`` as a RabbitMQ definitions file, for ``rabbitmqctl import_definitions`` or Helm."""
    wanted = declarations(topology)
    return {
        "exchanges": [
            {
                "name": each.name,
                "vhost": vhost,
                "type": each.kind,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": dict(each.arguments),
            }
            for each in wanted.exchanges
        ],
        "queues": [
            {
                "name": each.name,
                "vhost": vhost,
                "durable": True,
                "auto_delete": False,
                "arguments": dict(each.arguments),
            }
            for each in wanted.queues
        ],
        "bindings": [
            {
                "source": each.source,
                "vhost": vhost,
                "destination": each.destination,
                "destination_type": "exchange" if each.to_exchange else "queue",
                "routing_key": each.routing_key,
                "arguments": dict(each.arguments),
            }
            for each in wanted.bindings
        ],
    }


def _quorum(more: Mapping[str, Any]) -> dict[str, Any]:
    return {"x-queue-type": "quorum", **more}


def _forwarding_to(queue: str) -> dict[str, Any]:
    """Return arguments by which a message leaves for ``queue`` only once that has it safe."""
    return _quorum(
        {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": queue,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    )
