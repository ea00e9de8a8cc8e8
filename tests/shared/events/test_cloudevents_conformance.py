"""Our envelope against the CloudEvents SDK: each reads what the other writes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from shared.events import EVENT_TYPES, Event, EventData, FlightFound, TaskCompleted, new_event
from shared.events.examples import EXAMPLES, example

each_event = pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.type)

EXTENSIONS = {
    "correlationid": "c1",
    "causationid": "c0",
    "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
}
texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=100)
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def sdk_event(data: EventData, **attributes: Any) -> CloudEvent:
    return CloudEvent(
        {"id": "e1", "source": "/outside", "type": data.type, "specversion": "1.0", **attributes},
        data.model_dump(mode="json"),
    )


@each_event
def test_we_read_what_the_sdk_writes(event: type[EventData]) -> None:
    sent = sdk_event(EXAMPLES[event], time=datetime.now(UTC), subject="s1", **EXTENSIONS)

    read = Event[event].model_validate_json(JSONFormat().write(sent))  # type: ignore[valid-type]

    assert (read.id, read.source, read.type, read.subject) == ("e1", "/outside", event.type, "s1")
    assert {name: getattr(read, name) for name in EXTENSIONS} == EXTENSIONS
    assert read.data == EXAMPLES[event]


@each_event
def test_the_sdk_reads_what_we_write(event: type[EventData]) -> None:
    sent = example(event)

    read = JSONFormat().read(None, sent.to_bytes())

    assert (read.get_id(), read.get_source(), read.get_type()) == (sent.id, sent.source, sent.type)
    assert (read.get_time(), read.get_subject()) == (sent.time, sent.subject)
    assert read.get_data() == json.loads(sent.data.model_dump_json(exclude_none=True))


def test_an_event_without_a_time_is_read() -> None:
    sent = sdk_event(EXAMPLES[FlightFound])

    read = Event[FlightFound].model_validate_json(JSONFormat().write(sent))

    assert read.time.tzinfo is not None


def test_unknown_attributes_and_fields_are_ignored() -> None:
    sent = sdk_event(EXAMPLES[FlightFound], partitionkey="p", sequence="7")
    document = json.loads(JSONFormat().write(sent))
    document["data"]["added_next_year"] = {"a": 1}

    assert Event[FlightFound].model_validate(document).data == EXAMPLES[FlightFound]


@given(event_id=texts, source=texts, name=texts, time=times)
def test_any_text_and_time_survives_the_way_through_the_sdk(
    event_id: str, source: str, name: str, time: datetime
) -> None:
    data = TaskCompleted(task_id="t1", kind="odm", name=name, status="failed", error=name, finished_at=time)
    sent = new_event(source, data, event_id=event_id).model_copy(update={"time": time})

    again = JSONFormat().write(JSONFormat().read(None, sent.to_bytes()))

    assert Event[TaskCompleted].model_validate_json(again) == sent


def test_a_caused_event_carries_on_correlation_and_trace() -> None:
    first = new_event("/outside", EXAMPLES[FlightFound], event_id="e0")
    first = first.model_copy(update={"traceparent": EXTENSIONS["traceparent"]})

    second = new_event("flightline/ingest", EXAMPLES[TaskCompleted], cause=first)

    assert (second.correlationid, second.causationid) == ("e0", "e0")
    assert second.traceparent == first.traceparent
