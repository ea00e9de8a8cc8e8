"""Spans reach a collector, and one that is away, slow or angry is in nobody's way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from structlog.contextvars import bound_contextvars

from shared.tracing import Kind, Span, current, parse_traceparent, traceparent
from shared.tracing.exporting import LAST_WITHIN_S, WAITING_AT_MOST, exporting
from shared.tracing.spans import is_collecting, record
from tests.support.collector import open_collector
from tests.support.processes import free_port

OTHER = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
UNSAMPLED = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")


async def test_a_span_arrives_with_its_parent_links_service_and_error() -> None:
    assert OTHER
    async with open_collector() as collector:
        async with exporting(collector.url, 1.0):
            with (
                bound_contextvars(service="kites"),
                suppress(ValueError),
                Span("fly", Kind.CONSUMER, parent=OTHER, links=(OTHER,)) as span,
            ):
                span.attributes["wind"] = 7
                with Span("turn"):
                    pass
                raise ValueError("torn")

        [fly], [turn] = collector.named("fly"), collector.named("turn")
    assert (fly.service, fly.kind, fly.parent_id) == ("kites", "CONSUMER", OTHER.span_id)
    assert (fly.links, fly.error) == ((OTHER.span_id,), "torn")
    assert fly.attributes == {"wind": 7, "error.type": "ValueError"}
    assert (turn.parent_id, turn.trace_id, turn.error) == (fly.span_id, OTHER.trace_id, None)


async def test_two_services_of_one_process_arrive_as_two() -> None:
    async with open_collector() as collector:
        async with exporting(collector.url, 1.0):
            for name in ("kites", "strings"):
                with bound_contextvars(service=name), Span("work"):
                    pass

        assert sorted(span.service for span in collector.spans) == ["kites", "strings"]


async def test_what_others_did_is_told_below_the_current_span() -> None:
    async with open_collector() as collector:
        async with exporting(collector.url, 1.0):
            record("outside of any", 1, 2, {})
            with Span("work") as work:
                record("pod", 10**18, 2 * 10**18, {"process.exit.code": 137}, error="OOMKilled")

        [pod] = collector.named("pod")
        assert (pod.parent_id, pod.error) == (work.context.span_id, "OOMKilled")
        assert collector.named("outside of any") == []


async def test_what_is_not_sampled_or_not_kept_stays_here() -> None:
    async with open_collector() as collector:
        async with exporting(collector.url, 0.0):
            with Span("a new trace"), Span("a part of it"):
                pass
            with Span("unsampled elsewhere", parent=UNSAMPLED):
                pass
            with Span("sampled elsewhere", parent=OTHER):
                pass
            with Span("routine", parent=OTHER, is_kept=False):
                pass

        assert [span.name for span in collector.spans] == ["sampled elsewhere"]


async def test_secrets_in_errors_are_hidden() -> None:
    async with open_collector() as collector:
        async with exporting(collector.url, 1.0):
            with Span("work") as span:
                span.fail("cannot reach https://user:hunter2@example.org/x")

        assert collector.spans[0].error is not None
        assert "hunter2" not in collector.spans[0].error


async def test_without_a_collector_ids_are_passed_on_and_nothing_is_kept() -> None:
    async with exporting(None, 1.0):
        assert not is_collecting()
        with Span("work") as span:
            assert traceparent() == span.context.traceparent
            assert not span.is_collected
    assert current() is None


@pytest.mark.parametrize("status", [400, 503])
async def test_a_collector_that_refuses_fails_no_work(status: int) -> None:
    async with open_collector() as collector:
        collector.status = status
        async with exporting(collector.url, 1.0):
            with Span("work"):
                pass
        assert collector.requests >= 1


async def test_a_collector_that_is_away_or_hangs_blocks_nobody() -> None:
    async with open_collector() as hanging:
        hanging.answer_after_s = 60
        for url in (f"http://127.0.0.1:{free_port()}", hanging.url):
            async with exporting(url, 1.0):
                began = time.monotonic()
                for _ in range(2 * WAITING_AT_MOST):  # more than may wait
                    with Span("work"):
                        pass
                await asyncio.sleep(0)
                assert time.monotonic() - began < 30
                closing = time.monotonic()
            assert time.monotonic() - closing < 10 * LAST_WITHIN_S


def test_opentelemetry_is_imported_only_where_spans_are_sent() -> None:
    code = (
        "import sys, shared.tracing.exporting, shared.platform, shared.messaging.consumer;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
