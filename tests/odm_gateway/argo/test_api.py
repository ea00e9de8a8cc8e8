"""What we rely on in the Kubernetes API, on the simulator and, with ``make test-cluster``, a real one."""

from contextlib import aclosing
from datetime import timedelta

import pytest

from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, AlreadyExistsError, ChangedError
from shared.errors import PermanentError
from tests.support.kubernetes.corner import Corner

MINUTE = timedelta(minutes=1)
FINALIZER = "flightline.io/recorded"


async def test_what_was_made_can_be_read_changed_and_deleted(corner: Corner) -> None:
    made = await corner.make("a")
    name = corner.name("a")
    assert (await corner.client.get(WORKFLOWS, name)) == made
    changed = await corner.client.merge(WORKFLOWS, name, {"spec": {"shutdown": "Stop"}})
    assert changed is not None
    assert changed["spec"]["shutdown"] == "Stop"
    await corner.client.delete(WORKFLOWS, name)
    assert await corner.client.get(WORKFLOWS, name) is None


async def test_what_is_not_there_is_no_error(corner: Corner) -> None:
    assert await corner.client.get(WORKFLOWS, corner.name("a")) is None
    assert await corner.client.merge(WORKFLOWS, corner.name("a"), {"spec": {"shutdown": "Stop"}}) is None
    await corner.client.delete(WORKFLOWS, corner.name("a"))


async def test_a_name_is_given_once(corner: Corner) -> None:
    await corner.make("a")
    with pytest.raises(AlreadyExistsError):
        await corner.make("a")


async def test_a_bad_name_is_refused_for_good(corner: Corner) -> None:
    with pytest.raises(PermanentError, match="RFC 1123"):
        await corner.make("Not_A_Name")


async def test_a_change_of_what_somebody_else_changed_is_refused(corner: Corner) -> None:
    made = await corner.make("a")
    await corner.client.merge(WORKFLOWS, corner.name("a"), {"spec": {"shutdown": "Stop"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "finalizers": []}}
    with pytest.raises(ChangedError):
        await corner.client.merge(WORKFLOWS, corner.name("a"), {**stale, "spec": {"shutdown": "Terminate"}})


async def test_what_is_held_by_a_finalizer_is_only_marked_until_it_is_let_go(corner: Corner) -> None:
    name = corner.name("a")
    await corner.make("a", finalizers=[FINALIZER])
    await corner.client.delete(WORKFLOWS, name)
    marked = await corner.client.get(WORKFLOWS, name)
    assert marked is not None
    assert "deletionTimestamp" in marked["metadata"]
    version = marked["metadata"]["resourceVersion"]
    await corner.client.merge(WORKFLOWS, name, {"metadata": {"finalizers": [], "resourceVersion": version}})
    assert await corner.client.get(WORKFLOWS, name) is None


async def test_lists_come_in_pages_of_metadata_alone(corner: Corner) -> None:
    for number in range(5):
        await corner.make(str(number))
    first = await corner.client.page(WORKFLOWS, selector=corner.selector, limit=3)
    second = await corner.client.page(WORKFLOWS, selector=corner.selector, limit=3, after=first.next)
    names = [item["metadata"]["name"] for item in (*first.items, *second.items)]
    assert names == [corner.name(str(number)) for number in range(5)]
    assert (second.next, "spec" in first.items[0], first.version) == (None, False, second.version)


async def test_a_watch_tells_of_metadata_that_changed_since_a_version(corner: Corner) -> None:
    version = await corner.version()
    await corner.make("a")
    await corner.client.merge(WORKFLOWS, corner.name("a"), {"spec": {"shutdown": "Stop"}})
    await corner.client.delete(WORKFLOWS, corner.name("a"))
    seen = []
    events = corner.client.watch(WORKFLOWS, selector=corner.selector, version=version, last=MINUTE)
    async with aclosing(events):
        async for event in events:
            seen.append((event.kind, "spec" in event.object))
            if event.kind == "DELETED":
                break
    assert seen == [("ADDED", False), ("MODIFIED", False), ("DELETED", False)]


async def test_a_watch_tells_nothing_of_others_and_ends_when_its_time_is_over(corner: Corner) -> None:
    version = await corner.version()
    other = Corner(corner.cluster)
    await other.make("a")
    events = corner.client.watch(
        WORKFLOWS, selector=corner.selector, version=version, last=timedelta(seconds=1)
    )
    assert {event.kind async for event in events} <= {"BOOKMARK"}
    await other.clean()
