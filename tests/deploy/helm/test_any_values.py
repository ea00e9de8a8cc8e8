"""Whatever values somebody writes: good objects, or a refusal that can be read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightline.chart.__main__ import VALUES, WRITTEN
from flightline.chart.schema import values_schema
from flightline.chart.services import WORKLOADS
from tests.deploy.helm.conformity import faults, misfits
from tests.deploy.helm.rendering import Document, overlay, pods, profile, refusal, render

SCHEMA = values_schema(WRITTEN, VALUES)
NAMES = st.from_regex(r"\A[a-z]([-a-z0-9]{0,20}[a-z0-9])?\Z")
FLAGS = st.booleans()
LABELS = st.dictionaries(st.sampled_from(["team", "example.org/pool", "cost"]), NAMES, max_size=2)


def maybe(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """Return a strategy for objects that have some of ``parts``."""
    return st.fixed_dictionaries({}, optional=parts)


def setting(schema: Document) -> st.SearchStrategy[Any]:
    """Return a strategy for what a setting may be."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "boolean":
            return FLAGS
        case "integer":
            low = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
            return st.integers(low, schema.get("maximum", low + 10**12))
        case _ if "pattern" in schema:
            return st.sampled_from(["30s", "1h30m", "2d", 90])
        case _:
            return st.sampled_from(
                ["text", "https://example.org/a?b=c#d", "a: b", "{{ .Values }}", '"', "#", "1e3"]
            )


def settings_of(family: str) -> st.SearchStrategy[Document]:
    known = {
        name: each
        for name, each in SCHEMA["definitions"][f"{family}-settings"]["properties"].items()
        if each.get("type") != "number"
    }
    return st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: setting(known[name]) for name in names})
    )


def service(name: str) -> st.SearchStrategy[Document]:
    return maybe(
        enabled=FLAGS,
        replicas=st.integers(0, 20),
        hostname=st.just(f"{name}.example.org"),
        settings=settings_of(WORKLOADS[name].command[0]),
        autoscaling=maybe(
            by=st.sampled_from(["none", "processor", "queue"]), min=st.integers(0, 5), max=st.integers(1, 30)
        ),
        podLabels=LABELS,
        podAnnotations=LABELS,
        nodeSelector=LABELS,
        priorityClassName=NAMES,
        extraVolumes=st.just([{"name": "flights", "persistentVolumeClaim": {"claimName": "flights"}}]),
        extraVolumeMounts=st.just([{"name": "flights", "mountPath": "/flights"}]),
    )


VALUES_OF_SOMEBODY = maybe(
    settings=settings_of("platform"),
    services=maybe(**{name: service(name) for name in WORKLOADS}),
    image=maybe(registry=st.just("registry.example.org:5000"), pullSecrets=st.lists(NAMES, max_size=2)),
    rabbitmq=maybe(mode=st.sampled_from(["external", "operator", "dev"])),
    mongodb=maybe(mode=st.sampled_from(["external", "operator", "dev"])),
    objects=maybe(mode=st.sampled_from(["external", "dev"])),
    argo=maybe(enabled=FLAGS, splitTasks=FLAGS, strictCapacity=FLAGS, namespace=NAMES, nodeSelector=LABELS),
    networkPolicy=maybe(enabled=FLAGS),
    monitoring=maybe(monitors=FLAGS, rules=FLAGS, dashboards=FLAGS, labels=LABELS),
    vault=maybe(role=NAMES),
    preStopSeconds=st.integers(0, 120),
)  # fmt: skip


def use(name: str, more: Document) -> None:
    values = overlay(profile(name), more)
    said = refusal(values)
    if said:
        assert is_told(said), said
        return
    documents = render(values)
    for owner, pod in pods(documents):
        assert faults(pod) == [], owner
    assert [fault for document in documents for fault in misfits(document, "1.34")] == []


def is_told(said: str) -> bool:
    """Return whether every fault is a sentence of ours, or names its place and what is wanted there."""
    head, _, faults = said.strip().partition("\n")
    if "The values cannot be used:" in said:
        listed = said.partition("The values cannot be used:")[2].strip().split("\n")
        return all(re.fullmatch(r" *- \S+ .*: \S.*", line) for line in listed)
    lines = faults.strip().split("\n")[1:]
    is_of_schema = head.startswith("values don't meet the specifications of the schema")
    return is_of_schema and all(_FAULT.fullmatch(line) for line in lines) and bool(lines)


_FAULT = re.compile(r" *- at '[^']*': (?:.*\b(?:want|got|not allowed|missing|must be|match|failed)\b.*)")


somebodys = given(st.sampled_from(["local", "production", "operators"]), VALUES_OF_SOMEBODY)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@somebodys
def test_values_that_fit_make_good_objects_and_others_are_refused_readably(name: str, more: Document) -> None:
    use(name, more)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@somebodys
def test_hundreds_of_values_that_fit_make_good_objects_or_are_refused(name: str, more: Document) -> None:
    use(name, more)


WRONG = st.recursive(
    st.none() | FLAGS | st.integers(-5, 5) | st.sampled_from(["", "text", "{{", "\n"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)


@st.composite
def places(draw: st.DrawFn) -> tuple[str, ...]:
    schema, place = SCHEMA, list[str]()
    while known := schema.get("properties"):
        key = draw(st.sampled_from(sorted(known)))
        place.append(key)
        schema = known[key]
        reference = schema.get("$ref")
        schema = SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else schema
        if draw(st.integers(0, 4)) == 0:
            break
    return tuple(place)


def write(place: tuple[str, ...], wrong: object) -> None:
    values: Document = profile("local")
    change: Any = wrong
    for key in reversed(place):
        change = {key: change}
    said = refusal(overlay(values, change))
    assert not said or is_told(said), said


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(places(), WRONG)
def test_a_wrong_value_anywhere_never_shows_a_trace_of_a_template(
    place: tuple[str, ...], wrong: object
) -> None:
    write(place, wrong)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(places(), WRONG)
def test_thousands_of_wrong_values_never_show_a_trace_of_a_template(
    place: tuple[str, ...], wrong: object
) -> None:
    write(place, wrong)
