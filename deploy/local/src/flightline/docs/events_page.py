"""``docs/events.md``: each event for whoever publishes or hears it from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import Template

from flightline.docs.schema_text import Schema, cell, limit_words, resolve, type_words
from shared.durations import format_duration
from shared.events import EVENT_TYPES, EventData
from shared.events.asyncapi import HEARD_FROM_OUTSIDE
from shared.events.examples import example
from shared.events.schemas import event_schema
from shared.messaging.port import DEFAULT_LADDER, EXCHANGE, PROGRESS_EXCHANGE, UNROUTED_QUEUE

_PAGE = Template("""\
<!-- Written by make docs from the models in shared/events; do not edit. -->
# Events

Flightline's services tell each other, and everybody else, what happened. An event is a
[CloudEvents 1.0](https://cloudevents.io) document in structured JSON mode
(`application/cloudevents+json`), published on the durable topic exchange `$exchange` with its type as the
routing key. Machine-readable: [asyncapi.json](asyncapi.json), and one JSON Schema per type in
`shared/src/shared/events/schemas/`.

| type | means | may be published from outside |
|---|---|---|
$overview

## What is promised

* **At least once, in no particular order.** An event that Flightline has decided on is on disk before it is
  published, and is published until the broker confirms it. You may get it twice: `source` and `id` together
  name an event for ever, so remember them, or make handling twice the same as once.
* **Only additions.** A field is never removed, never becomes required, and never accepts less than before:
  the build refuses it. Ignore fields that you do not know. What cannot be an addition becomes a new type.
* **What you publish is handled or kept.** An error that may pass is tried again after $ladder;
  a message that cannot be read, that is refused, or that has used all attempts becomes a dead letter with its
  reason and its original bytes (`flightline dead-letters list`). An event for which nobody has a queue
  lies in `$unrouted`.
* `correlationid` is the `id` of the event that began it all, `causationid` of the one that caused this one;
  `traceparent` carries W3C trace context. Both binary mode (`ce-` headers) and structured mode are read.

Progress (`$progress`) is not an event: it is told as it happens, kept nowhere, and losing it loses nothing.

## Envelope

$envelope

$events
## Publish from outside

### With curl

`discovery` takes events over HTTP. If it has a token, add `-H "Authorization: Bearer …"`. The answer comes
after the event is on disk.

```sh
curl --fail-with-body http://127.0.0.1:8001/events \\
  -H 'Content-Type: application/cloudevents+json' \\
  --data @- <<'EVENT'
$published
EVENT
```

### With aio-pika

```python
import asyncio
import json
import uuid
from datetime import UTC, datetime

import aio_pika

EVENT = {
    "specversion": "1.0",
    "id": str(uuid.uuid4()),  # the same id again is the same event again
    "source": "example.org/flights",
    "type": "flight-found",
    "time": datetime.now(UTC).isoformat(),
    "data": $data,
}


async def main() -> None:
    connection = await aio_pika.connect_robust("amqp://guest:guest@localhost/")
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange("$exchange")
        message = aio_pika.Message(
            json.dumps(EVENT).encode(),
            content_type="application/cloudevents+json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(uuid.uuid4()),  # a fresh one for every attempt
        )
        await exchange.publish(message, routing_key=EVENT["type"], mandatory=True, timeout=10)


asyncio.run(main())
```

After a timeout the event may or may not have arrived: publish it again with the same `id`.
To have a version processed once more, after a failure or with other options, publish it with a higher
`rerun`: the same number again changes nothing.

## Listen from outside

Declare a queue of your own, durable if you must not miss anything, and bind it to the types that you want:

```python
import asyncio
import json

import aio_pika


async def main() -> None:
    connection = await aio_pika.connect_robust("amqp://guest:guest@localhost/")
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        queue = await channel.declare_queue(
            "example.task-completed", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind("$exchange", routing_key="task-completed")
        async with queue.iterator() as messages:
            async for message in messages:
                event = json.loads(message.body)
                print(event["id"], event["data"]["status"], event["data"]["outputs"])
                await message.ack()


asyncio.run(main())
```
""")

_TYPE = {"type": "string", "description": "What is told, and the routing key."}


def events_page() -> str:
    """Return the page."""
    published = json.loads(example(EVENT_TYPES[0]).to_bytes()) | {"source": "example.org/flights"}
    return _PAGE.substitute(
        exchange=EXCHANGE,
        unrouted=UNROUTED_QUEUE,
        progress=PROGRESS_EXCHANGE,
        ladder=", ".join(map(format_duration, DEFAULT_LADDER)),
        overview="\n".join(map(_overview, EVENT_TYPES)),
        envelope=_envelope(),
        events="\n".join(map(_event, EVENT_TYPES)),
        published=json.dumps(published, indent=2),
        data=_python(published["data"]),
    )


def _overview(event: type[EventData]) -> str:
    outside = "yes" if event in HEARD_FROM_OUTSIDE else "no"
    return f"| [`{event.type}`](#{event.type}) | {cell(event.__doc__ or '')} | {outside} |"


def _envelope() -> str:
    schema = event_schema(EVENT_TYPES[0])
    return "\n".join(_table({**schema, "properties": {**schema["properties"], "type": _TYPE}}, {}))


def _event(event: type[EventData]) -> str:
    schema = event_schema(event)
    definitions = schema["$defs"]
    data = resolve(schema["properties"]["data"], definitions)
    return "\n".join(
        [
            f"## {event.type}",
            "",
            event.__doc__ or "",
            "",
            *_table(data, definitions),
            "",
            "```json",
            json.dumps(schema["examples"][0], indent=2),
            "```",
            "",
        ]
    )


def _table(schema: Schema, definitions: Schema) -> Iterator[str]:
    yield "| field | type | | meaning |"
    yield "|---|---|---|---|"
    yield from _rows(schema, definitions, "")


def _rows(schema: Schema, definitions: Schema, prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        if name == "data" and not definitions:
            yield f"| `{name}` | object | required | What is told, see below. |"
            continue
        inner = _nested(field, definitions)
        words = [
            "required" if name in required else "",
            limit_words(field, definitions),
            _default(field, is_object=bool(inner)),
        ]
        kind = "object" if inner and field.get("type") != "array" else type_words(field, definitions)
        limits, meaning = cell(", ".join(filter(None, words))), cell(_meaning(field, definitions))
        yield f"| `{prefix}{name}` | {cell(kind)} | {limits} | {meaning} |"
        if inner:
            suffix = "[]" if field.get("type") == "array" else ""
            yield from _rows(inner, definitions, f"{prefix}{name}{suffix}.")


def _meaning(field: Schema, definitions: Schema) -> str:
    return str(resolve(field, definitions).get("description", ""))


def _nested(field: Schema, definitions: Schema) -> Schema | None:
    item = field.get("items", field)
    return resolve(item, definitions) if "$ref" in item else None


def _default(field: Schema, *, is_object: bool) -> str:
    default = field.get("default")
    return "" if default in (None, "", []) or is_object else f"default `{json.dumps(default)}`"


def _python(data: Schema) -> str:
    lines = "".join(f'        "{name}": {_literal(value)},\n' for name, value in data.items())
    return f"{{\n{lines}    }}"


def _literal(value: object) -> str:
    return json.dumps(value).replace(": false", ": False")
