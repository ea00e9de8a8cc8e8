"""The JSON Schema of each event, from its model; the files in ``schemas/`` are what was promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.events.envelope import Event, EventData
from shared.events.examples import example
from shared.events.types import EVENT_TYPES

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).with_name("schemas")


def event_schema(data_type: type[EventData], *, ref_template: str = "#/$defs/{model}") -> Schema:
    """Return the schema of a whole event: its CloudEvents attributes and its data."""
    schema = Event[data_type].model_json_schema(ref_template=ref_template)  # type: ignore[valid-type]
    # In the order of the attributes: the type says which event it is, and is the routing key.
    schema["properties"]["type"] = {
        "const": data_type.type,
        "description": "What is told, and the routing key.",
        "title": "Type",
        "type": "string",
    }
    schema["title"] = data_type.type
    schema["description"] = data_type.__doc__
    schema["examples"] = [json.loads(example(data_type).to_bytes())]
    return {"$schema": DIALECT, **schema}


def schemas() -> dict[str, Schema]:
    """Return the schema of every event, by its type."""
    return {event.type: event_schema(event) for event in EVENT_TYPES}


def stored_path(data_type: type[EventData]) -> Path:
    """Return where the promised schema of an event is kept."""
    return FOLDER / f"{data_type.type}.json"


def stored_schema(data_type: type[EventData]) -> Schema | None:
    """Return the promised schema of an event, or None for a new one."""
    path = stored_path(data_type)
    if not path.exists():
        return None
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    return schema
