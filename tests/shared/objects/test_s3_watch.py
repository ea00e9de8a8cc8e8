"""What S3 answers is measured, operation by operation."""

from __future__ import annotations

from prometheus_client import REGISTRY

from tests.support.s3 import S3Server


def count(method: str, outcome: str) -> float:
    labels = {"system": "s3", "method": method, "outcome": outcome}
    return REGISTRY.get_sample_value("flightline_outgoing_request_seconds_count", labels) or 0


async def test_answers_are_counted_by_operation_and_kind(s3: S3Server) -> None:
    wanted = (("ListObjectsV2", "2xx"), ("HeadObject", "4xx"))
    before = [count(*each) for each in wanted]
    async with s3.open(s3.new_bucket()) as objects:
        assert [stored async for stored in objects.list("a/")] == []
        assert await objects.stat("nothing/here") is None

    after = [count(*each) for each in wanted]
    assert all(now > then for now, then in zip(after, before, strict=True))
