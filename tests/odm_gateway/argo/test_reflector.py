"""What is known of a cluster's workflows stays true, whatever happens to the watch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from odm_gateway.adapters.argo.reflector import WATCH_RESTARTS, Pace, Reflector
from tests.support.kubernetes.cluster import SimulatedCluster
from tests.support.kubernetes.engine import watched_clusters
from tests.support.kubernetes.server import BOOKMARK_EVERY_S
from tests.support.trouble import eventually

CALM = Pace(page=7, backoff_at_most=timedelta(seconds=0.1))
SHORT = Pace(
    page=7,
    watch=(timedelta(seconds=1), timedelta(seconds=1)),
    resync=timedelta(seconds=1),
    backoff_at_most=timedelta(seconds=0.1),
)


@asynccontextmanager
async def reflecting(folder: Path, cluster: SimulatedCluster, pace: Pace = CALM) -> AsyncIterator[Reflector]:
    async with watched_clusters(folder, pace, simulated=cluster) as clusters:
        reflector = clusters.by_name["simulated"].reflector
        await reflector.tried()
        yield reflector


def make(cluster: SimulatedCluster, name: str) -> None:
    cluster.controller.admits = False  # they are not to run
    labels = {"app.kubernetes.io/managed-by": "flightline"}
    cluster.api.storage.create("workflows", {"metadata": {"name": name, "labels": labels}, "spec": {}})


async def knows(reflector: Reflector, count: int) -> None:
    async def does() -> bool:
        return reflector.open_count == count

    await eventually(does, within_s=15)


async def hears(reflector: Reflector, name: str, of: Callable[[], object]) -> None:
    """Fail unless a follower of ``name`` is woken by what ``of`` does."""
    with reflector.changes(name) as changed:
        of()
        async with asyncio.timeout(15):
            await changed.wait()


async def test_all_pages_of_the_first_list_are_known(tmp_path: Path, cluster: SimulatedCluster) -> None:
    for number in range(30):
        make(cluster, f"w{number}")
    async with reflecting(tmp_path, cluster) as reflector:
        assert reflector.open_count == 30
        assert reflector.is_fresh


async def test_others_workflows_are_not_looked_at(tmp_path: Path, cluster: SimulatedCluster) -> None:
    cluster.controller.admits = False
    cluster.api.storage.create("workflows", {"metadata": {"name": "theirs"}, "spec": {}})
    async with reflecting(tmp_path, cluster) as reflector:
        assert reflector.open_count == 0


async def test_what_comes_changes_ends_and_goes_is_heard_of(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    async with reflecting(tmp_path, cluster) as reflector:
        await hears(reflector, "w", lambda: make(cluster, "w"))
        await knows(reflector, 1)
        ended = {"metadata": {"labels": {"workflows.argoproj.io/completed": "true"}}}
        await hears(reflector, "w", lambda: cluster.api.storage.merge("workflows", "w", ended))
        await knows(reflector, 0)
        await hears(reflector, "w", lambda: cluster.api.storage.delete("workflows", "w"))


@pytest.mark.parametrize("trouble", ["cut", "gone", "down"])
async def test_what_happens_while_the_watch_is_interrupted_is_made_up_for(
    tmp_path: Path, cluster: SimulatedCluster, trouble: str
) -> None:
    for number in range(20):
        make(cluster, f"w{number}")
    async with reflecting(tmp_path, cluster) as reflector:
        cluster.api.faults.is_down = trouble == "down"
        cluster.api.cut_watches()
        with reflector.changes("w3") as deleted, reflector.changes("w99") as made:
            cluster.api.storage.delete("workflows", "w3")
            cluster.api.storage.delete("workflows", "w4")
            make(cluster, "w99")
            if trouble == "gone":  # what was deleted can only be found missing
                cluster.api.storage.compact()
            await asyncio.sleep(0.3)
            cluster.api.faults.is_down = False
            async with asyncio.timeout(15):
                await deleted.wait()
                await made.wait()
        await knows(reflector, 19)


async def test_a_version_that_is_forgotten_during_the_watch_leads_to_another_list(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    async with reflecting(tmp_path, cluster) as reflector:
        await hears(reflector, "w", lambda: make(cluster, "w"))
        lists = cluster.api.calls["list", "workflows"]
        cluster.api.end_watches_as_gone()
        await eventually(lambda: _more(cluster, lists))
        await hears(reflector, "v", lambda: make(cluster, "v"))


async def _more(cluster: SimulatedCluster, than: int) -> bool:
    return cluster.api.calls["list", "workflows"] > than


async def test_a_list_that_gets_too_old_between_its_pages_is_begun_again(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    for number in range(20):
        make(cluster, f"w{number:02}")
    cluster.api.faults.latency_s = 0.1

    async def compact_during_the_list() -> None:
        await eventually(lambda: _more(cluster, 0))
        await asyncio.sleep(0.15)
        cluster.api.storage.compact()

    compacting = asyncio.create_task(compact_during_the_list())
    async with reflecting(tmp_path, cluster) as reflector:
        await compacting
        await knows(reflector, 20)


async def test_a_delete_that_nobody_told_of_is_found_at_the_next_resync(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    make(cluster, "w")
    async with reflecting(tmp_path, cluster, SHORT) as reflector:
        cluster.api.faults.loses_events = True
        await hears(reflector, "w", lambda: cluster.api.storage.delete("workflows", "w"))
        await knows(reflector, 0)


async def test_a_cluster_that_fell_silent_is_no_longer_chosen(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    pace = Pace(fresh=timedelta(seconds=1.5), backoff_at_most=timedelta(seconds=0.1))
    async with reflecting(tmp_path, cluster, pace) as reflector:
        assert reflector.is_fresh
        cluster.api.faults.is_silent = True

        async def is_stale() -> bool:
            return not reflector.is_fresh

        await eventually(is_stale)


async def test_a_role_that_may_not_watch_is_tried_again_until_it_may(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    cluster.api.faults.forbidden = {("list", "workflows")}
    make(cluster, "w")
    async with reflecting(tmp_path, cluster) as reflector:
        assert not reflector.is_fresh
        cluster.api.faults.forbidden = set()
        await knows(reflector, 1)


async def test_workflows_about_to_be_made_count_until_they_are_heard_of(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    async with reflecting(tmp_path, cluster) as reflector:
        reflector.expect("w")
        reflector.expect("never")
        assert reflector.open_count == 2
        await hears(reflector, "w", lambda: make(cluster, "w"))
        assert reflector.open_count == 2
        reflector.expect_no_longer("never")
        assert reflector.open_count == 1


async def test_restarts_are_counted_by_their_reason(tmp_path: Path, cluster: SimulatedCluster) -> None:
    counter = WATCH_RESTARTS.labels("simulated", "interrupted")
    before = counter._value.get()
    async with reflecting(tmp_path, cluster):
        await asyncio.sleep(0.3)
        cluster.api.cut_watches()

        async def is_counted() -> bool:
            return bool(counter._value.get() > before)

        await eventually(is_counted)


async def test_bookmarks_spare_a_list_where_only_others_changed_for_long(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    async with reflecting(tmp_path, cluster) as reflector:
        gone = WATCH_RESTARTS.labels("simulated", "gone")
        before = gone._value.get()
        await eventually(lambda: _is_watched(cluster))
        cluster.api.storage.compact()
        await asyncio.sleep(3 * BOOKMARK_EVERY_S)
        with reflector.changes("w") as changed:
            await cluster.api.end_watches()
            make(cluster, "w")
            async with asyncio.timeout(15):
                await changed.wait()
        assert gone._value.get() == before


async def _is_watched(cluster: SimulatedCluster) -> bool:
    return cluster.api.is_watched


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_list_that_is_refused_is_tried_again(
    tmp_path: Path, cluster: SimulatedCluster, code: int
) -> None:
    make(cluster, "w")
    cluster.api.faults.refuse_next = [code] * 5
    async with reflecting(tmp_path, cluster) as reflector:
        await knows(reflector, 1)
        assert reflector.is_fresh


async def test_an_expired_token_is_out_of_reach_until_it_is_renewed(
    tmp_path: Path, cluster: SimulatedCluster
) -> None:
    async with reflecting(tmp_path, cluster) as reflector:
        token, cluster.api.token = cluster.api.token, "another"
        cluster.api.cut_watches()

        async def is_stale() -> bool:
            return not reflector.is_fresh and "does not know the gateway" in str(reflector.trouble)

        await eventually(is_stale)
        cluster.api.token = token
        await hears(reflector, "w", lambda: make(cluster, "w"))
        assert reflector.is_fresh


async def test_parts_of_tasks_are_counted_apart(tmp_path: Path, cluster: SimulatedCluster) -> None:
    make(cluster, "w")
    cluster.api.storage.merge("workflows", "w", {"metadata": {"labels": {"flightline.io/submodel": "true"}}})
    make(cluster, "v")
    async with reflecting(tmp_path, cluster) as reflector:
        reflector.expect("u", is_submodel=True)
        assert (reflector.count_open(is_submodel=False), reflector.count_open(is_submodel=True)) == (1, 2)
