from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent

from shared.events import FlightFound
from shared.messaging.codec import UnreadableError, decode, encode
from shared.messaging.port import Message
from tests.support.events import flight_found

EVENT = flight_found()


def structured(**changed: Any) -> Message:
    """Return our event in structured mode, with some attributes changed, or removed by None."""
    document = json.loads(EVENT.to_bytes()) | changed
    body = json.dumps({key: value for key, value in document.items() if value is not None}).encode()
    return Message(body, "flight-found")


def binary(prefix: str, body: bytes | None = None, **changed: str) -> Message:
    """Return our event in binary mode."""
    document = json.loads(EVENT.to_bytes())
    data = json.dumps(document.pop("data")).encode()
    headers = {f"{prefix}{key}": value for key, value in (document | changed).items()}
    return Message(body or data, "flight-found", "", headers, "application/json")


def refusal(message: Message) -> str:
    with pytest.raises(UnreadableError) as refused:
        decode(message, FlightFound)
    return str(refused.value)


def test_an_encoded_event_is_decoded_as_it_was() -> None:
    assert decode(encode(EVENT), FlightFound) == EVENT


def test_an_encoded_event_carries_its_id_and_type_outside() -> None:
    message = encode(EVENT)

    assert (message.event_id, message.routing_key) == (EVENT.id, "flight-found")


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents:", "cloudEvents_"])
def test_binary_mode_from_outside_is_understood(prefix: str) -> None:
    assert decode(binary(prefix), FlightFound) == EVENT


def sdk_event() -> CloudEvent:
    document = json.loads(EVENT.to_bytes())
    data = document.pop("data")
    return CloudEvent(document | {"time": EVENT.time}, data)


def test_what_the_official_sdk_sends_over_rabbitmq_is_understood() -> None:
    for convert in (rabbitmq.to_binary_event, rabbitmq.to_structured_event):
        sent = convert(sdk_event())
        assert (
            decode(Message(sent.body, "x", "", sent.headers, sent.content_type or ""), FlightFound) == EVENT
        )


def test_what_the_official_sdk_sends_over_amqp_1_is_understood() -> None:
    sent = amqp.to_binary_event(sdk_event())

    content_type = str(sent.properties["content-type"])
    message = Message(sent.application_data, "x", "", sent.application_properties, content_type)

    event = decode(message, FlightFound)  # its time has lost what is below a millisecond
    assert (event.id, event.type, event.data) == (EVENT.id, EVENT.type, EVENT.data)


def test_data_in_base64_is_understood() -> None:
    data = base64.b64encode(EVENT.data.model_dump_json().encode()).decode()

    assert decode(structured(data=None, data_base64=data), FlightFound) == EVENT


def test_fields_that_a_newer_release_added_are_ignored() -> None:
    data = json.loads(EVENT.data.model_dump_json()) | {"colour": "red"}

    assert decode(structured(data=data, sequence="7"), FlightFound) == EVENT


@pytest.mark.parametrize("known", ["flight-found.v1", "flight-found"])
def test_the_known_major_version_may_be_named(known: str) -> None:
    schema = f"https://example.org/{known}/v1.json"

    assert decode(structured(type=known, dataschema=schema), FlightFound).data == EVENT.data


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"type": "flight-found.v2"}, "type: 'flight-found.v2' has major version 2"),
        ({"dataschema": "https://example.org/flight-found/v3"}, "dataschema: .* has major version 3"),
        ({"specversion": "2.0"}, "specversion: '2.0' is unknown"),
        ({"type": "cat-found"}, "type: 'cat-found' is unknown in a queue of flight-found"),
        ({"type": None}, "type: "),
        ({"id": None}, "id: Field required"),
        ({"time": "yesterday"}, "time: "),
        ({"data": None}, "data: Field required"),
        ({"data": None, "data_base64": "!"}, "data_base64: "),
    ],
)
def test_a_wrong_attribute_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        decode(structured(**changed), FlightFound)


def test_a_wrong_field_of_the_data_is_named() -> None:
    data = json.loads(EVENT.data.model_dump_json()) | {"image_count": -1}

    assert "data.image_count: " in refusal(structured(data=data))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'"x"', b"{", b"null"])
def test_bytes_that_are_no_event_are_refused(body: bytes) -> None:
    assert refusal(Message(body, "flight-found")).startswith("body: ")


def test_json_without_any_attributes_is_refused_with_the_remedy() -> None:
    assert "ce-* headers" in refusal(Message(b"{}", "flight-found", content_type="application/json"))


def test_a_broken_body_in_binary_mode_is_refused() -> None:
    assert refusal(binary("ce-", b"{")).startswith("body: ")
