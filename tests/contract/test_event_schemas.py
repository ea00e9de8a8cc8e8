"""What outside systems were promised of the events is kept."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from flightline.docs.__main__ import ROOT, generated_pages
from shared.events import EVENT_TYPES, Event, EventData
from shared.events.asyncapi import asyncapi_document
from shared.events.compatibility import breaking_changes
from shared.events.examples import example
from shared.events.schemas import FOLDER, event_schema, stored_schema

each_event = pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.type)


@each_event
def test_an_event_is_only_added_to(event: type[EventData]) -> None:
    promised = stored_schema(event)

    assert promised, "run make docs"
    assert breaking_changes(promised, event_schema(event)) == []


def test_no_event_type_is_withdrawn() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {event.type for event in EVENT_TYPES}


@pytest.mark.parametrize("path", generated_pages(), ids=lambda path: path.name)
def test_a_generated_page_is_as_the_code_has_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated_pages()[path], "run make docs"


@each_event
def test_the_schema_accepts_what_the_model_writes(event: type[EventData]) -> None:
    Draft202012Validator.check_schema(event_schema(event))

    Draft202012Validator(event_schema(event)).validate(json.loads(example(event).to_bytes()))


@each_event
def test_schema_and_model_refuse_the_same_omissions(event: type[EventData]) -> None:
    schema = Draft202012Validator(event_schema(event))
    for name in event.model_fields:
        document = json.loads(example(event).to_bytes())
        document["data"].pop(name, None)

        assert schema.is_valid(document) == is_readable(event, document), name


def is_readable(event: type[EventData], document: dict[str, Any]) -> bool:
    try:
        Event[event].model_validate(document)  # type: ignore[valid-type]
    except ValidationError:
        return False
    return True


@each_event
def test_every_field_says_what_it_means(event: type[EventData]) -> None:
    assert [name for name, field in event.model_fields.items() if not field.description] == []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi_document()

    references = list(references_of(document))

    assert references
    assert [each for each in references if not leads_somewhere(document, each)] == []


def test_only_two_events_are_heard_from_outside() -> None:
    operations = asyncapi_document()["operations"]

    heard = {name for name, operation in operations.items() if operation["action"] == "receive"}
    assert heard == {"hear-flight-found", "hear-images-staged"}
    assert len(operations) - len(heard) == len(EVENT_TYPES)


def references_of(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references_of(each)


def leads_somewhere(document: Any, reference: str) -> bool:
    for part in reference.removeprefix("#/").split("/"):
        document = document.get(part)
        if document is None:
            return False
    return True


def test_the_python_of_the_events_page_is_valid() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), re.DOTALL)

    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)


def test_the_event_of_the_curl_example_can_be_read() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    (document,) = re.findall(r"<<'EVENT'\n(.*?)\nEVENT", page, re.DOTALL)

    assert is_readable(EVENT_TYPES[0], json.loads(document))
