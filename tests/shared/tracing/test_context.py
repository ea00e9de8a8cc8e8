"""Trace context as W3C writes it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tracing import TraceContext, parse_traceparent
from shared.tracing.context import next_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", TraceContext(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(TRACE, SPAN, sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", TraceContext(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-01".encode(), TraceContext(TRACE, SPAN, sampled=True)),
        (f"cc-{TRACE}-{SPAN}-01-more", TraceContext(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("", None),
        (None, None),
        (7, None),
        (b"\xff\xfe", None),
    ],
)
def test_what_is_no_context_is_ignored(text: object, expected: TraceContext | None) -> None:
    assert parse_traceparent(text) == expected


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_nothing_that_a_client_sends_does_harm(text: bytes | str) -> None:
    found = parse_traceparent(text)
    assert found is None or parse_traceparent(found.traceparent) == found


def test_a_context_is_read_as_it_is_written() -> None:
    root = next_context(None, 1.0)
    child = next_context(root, 0.0)

    assert parse_traceparent(root.traceparent) == root
    assert (child.trace_id, child.sampled) == (root.trace_id, True)
    assert child.span_id != root.span_id


def test_the_ratio_says_which_traces_begin_sampled() -> None:
    assert not any(next_context(None, 0.0).sampled for _ in range(50))
    assert all(next_context(None, 1.0).sampled for _ in range(50))
    assert 200 < sum(next_context(None, 0.5).sampled for _ in range(1000)) < 800


def test_a_forked_process_makes_other_ids() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, next_context(None, 1.0).trace_id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() != next_context(None, 1.0).trace_id
