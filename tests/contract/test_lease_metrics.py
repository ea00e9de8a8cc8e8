"""Leases that go from one worker to another are counted, whichever store keeps them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from shared.state import Collection, CollectionSpec
from shared.state.port import Store

KITES = CollectionSpec("kites_of_leases")


class Kite(BaseModel):
    pass


def takeovers() -> float:
    labels = {"collection": KITES.name, "reason": "lapsed"}
    return REGISTRY.get_sample_value("flightline_lease_takeovers_total", labels) or 0


@pytest.fixture
async def kites(store: Store) -> Collection[Kite]:
    await store.declare(KITES)
    kites = Collection(store, KITES, Kite)
    await kites.insert("anna", Kite())
    return kites


async def test_a_lease_that_lapsed_counts_as_taken_over_and_one_given_back_does_not(
    kites: Collection[Kite],
) -> None:
    before = takeovers()
    first = await kites.claim({}, owner="a", hold=timedelta(seconds=-1))
    assert first is not None
    assert takeovers() == before

    second = await kites.claim({}, owner="b", hold=timedelta(minutes=1))
    assert second is not None
    assert (second.record.lease and second.record.lease.owner, second.record.revision) == ("b", 3)
    assert takeovers() == before + 1

    await kites.release("anna", owner="b")
    assert await kites.claim({}, owner="c", hold=timedelta(minutes=1))
    assert takeovers() == before + 1
