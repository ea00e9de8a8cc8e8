"""Any sequence of operations has the same outcome in every store as in a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from typing_extensions import override

from shared.errors import ConflictError
from shared.state.open import open_store
from shared.state.port import (
    Between,
    Claim,
    CollectionSpec,
    Index,
    Lease,
    OneOf,
    Order,
    OutboxEntry,
    Record,
    Store,
    Where,
)
from tests.contract.conftest import STORES
from tests.support.mongo import REAL_SERVER, new_database
from tests.support.store_model import StoreModel

T = TypeVar("T")

SPEC = CollectionSpec("things", (Index(("state", "rank")), Index(("name",), unique=True)))
NOW = datetime(2026, 1, 1, tzinfo=UTC)

ids = st.sampled_from(["a", "ü", "a/b", "B"])
ranks = st.sampled_from([0, 1, 1.5, 2, 10**12])
states = st.sampled_from(["new", "done", "ü"])
bodies = st.fixed_dictionaries(
    {"state": states},
    optional={"rank": ranks, "name": st.sampled_from(["x", "y"]), "odd.$key": st.text(max_size=3)},
)
steps = st.sampled_from([1, 1, 1, 0, 2])
outboxes = st.sampled_from([(), (OutboxEntry("e1", "t", "{}"),)])
moments = st.integers(0, 5).map(lambda minutes: NOW + timedelta(minutes=minutes))
expiries = st.none() | moments
ends = st.none() | ranks
wheres: st.SearchStrategy[Where] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"state": states | st.builds(OneOf, st.tuples(states, states))}),
    st.fixed_dictionaries(
        {"state": states, "rank": st.builds(Between, st.none() | ranks, st.none() | ranks)}
    ),
    st.fixed_dictionaries({"rank": ranks}),
)
orders = st.builds(Order, st.sampled_from([None, "rank"]), st.booleans())


class StoreMachine(RuleBasedStateMachine):
    """Does everything to a store and to the model."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.resources = AsyncExitStack()
        self.store: Store = self.run(self.resources.enter_async_context(open_store(url)))
        self.run(self.store.declare(SPEC))
        self.model = StoreModel("name")

    def run(self, awaitable: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await awaitable

        return self.loop.run_until_complete(awaited())

    @override
    def teardown(self) -> None:
        self.run(self.resources.aclose())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def agree(self, real: Awaitable[Any], model: Callable[[], Any]) -> None:
        """Compare outcomes; errors by their type."""
        assert self.outcome(lambda: self.run(real)) == self.outcome(model)

    def outcome(self, operation: Callable[[], Any]) -> Any:
        try:
            return operation()
        except ConflictError as error:
            return type(error)

    @rule(record_id=ids, body=bodies, outbox=outboxes, expires_at=expiries)
    def insert(self, record_id: str, body: Any, outbox: Any, expires_at: datetime | None) -> None:
        record = Record(record_id, body, outbox=outbox, expires_at=expires_at)
        self.agree(self.store.insert("things", record), lambda: self.model.insert(record))

    @rule(
        record_id=ids,
        body=bodies,
        outbox=outboxes,
        expires_at=expiries,
        step=st.sampled_from([1, 1, 1, 0, 2]),
    )
    def swap(self, record_id: str, body: Any, outbox: Any, expires_at: datetime | None, step: int) -> None:
        old = self.model.records.get(record_id, Record(record_id, {}))
        record = replace(old, revision=old.revision + step, body=body, outbox=outbox, expires_at=expires_at)
        self.agree(self.store.swap("things", record), lambda: self.model.swap(record))

    @rule(record_id=ids, step=st.sampled_from([0, 0, 1]))
    def delete(self, record_id: str, step: int) -> None:
        old = self.model.records.get(record_id, Record(record_id, {}))
        record = replace(old, revision=old.revision + step)
        self.agree(self.store.delete("things", record), lambda: self.model.delete(record))

    @rule(where=wheres, order=orders, now=moments)
    def claim(self, where: Where, order: Order, now: datetime) -> None:
        wanted = Claim(where, Lease("me", now + timedelta(minutes=2)), now, order)
        self.agree(self.store.claim("things", wanted), lambda: self.model.claim(wanted))

    @rule(where=wheres, order=orders, limit=st.integers(1, 4))
    def find(self, where: Where, order: Order, limit: int) -> None:
        found: list[Record] = []
        cursor = None
        while not found or cursor:
            page = self.run(self.store.find("things", where, order=order, limit=limit, after=cursor))
            found, cursor = [*found, *page.records], page.cursor
            if not found:
                break
        assert found == self.model.find(where, order)

    @rule(where=wheres)
    def count(self, where: Where) -> None:
        assert self.run(self.store.count("things", where)) == len(self.model.find(where, Order()))

    @rule(now=moments)
    def purge(self, now: datetime) -> None:
        self.agree(self.store.purge_expired("things", now), lambda: self.model.purge_expired(now))

    @invariant()
    def events_wait(self) -> None:
        assert {record.id for record in self.run(self.store.pending("things"))} == self.model.pending()

    @rule(record_id=ids)
    def get(self, record_id: str) -> None:
        assert self.run(self.store.get("things", record_id)) == self.model.records.get(record_id)


def check(new_url: Callable[[], str], examples: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call, unused-ignore]
        lambda: StoreMachine(new_url()),  # type: ignore[arg-type]
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


def url_maker(request: pytest.FixtureRequest, kind: str, folder: Path) -> Callable[[], str]:
    if kind == "sqlite":
        return lambda: f"sqlite://{mkdtemp(dir=folder)}/state.db"
    server: str = request.getfixturevalue("mongo_url") if kind == "nx-27017" else REAL_SERVER or ""
    return lambda: new_database(server)


@pytest.mark.timeout(600)  # a failure is made as small as can be, which takes its time
@pytest.mark.parametrize("kind", STORES)
def test_a_store_agrees_with_the_model(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    check(url_maker(request, kind, tmp_path), examples=15)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", STORES)
def test_a_store_agrees_with_the_model_for_long(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    check(url_maker(request, kind, tmp_path), examples=1000)
