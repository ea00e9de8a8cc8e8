"""Projects, in our records and at a WebODM: one per flight and owner, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from discovery.collections import COUNTERS, PROJECTS
from discovery.domain.flights import Flight, Listing
from discovery.domain.projects import (
    ProjectState,
    project_key,
)
from shared.errors import NotFoundError
from shared.platform import Platform
from tests.support.project_bench import (
    NOW,
    bench,
    flight,
    known_flight,
    made_projects,
)
from tests.support.webodm import Kind, User, WebODMServer, webodm_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebODMServer]:
    async with webodm_server(tmp_path / "webodm") as server:
        yield server


async def test_without_webodm_projects_are_our_own(platform: Platform) -> None:
    await platform.store.declare(PROJECTS, COUNTERS)
    projects = made_projects(platform, "none")
    first, is_new = await projects.ensure(flight(), "ann@portals")
    again, is_new_again = await projects.ensure(flight(), "ann@portals")
    other, _ = await projects.ensure(flight("Flight10"), "ann@portals")

    assert (first.project_id, is_new, is_new_again, other.project_id) == (1, True, False, 2)
    assert first.name == "Flight1 (ptdatax.project.PTDATAX-225)"
    assert first.tags == (
        "tapis", "flight", "ptdatax.project.PTDATAX-225", "Flight1", project_key("id-Flight1", "ann@portals")
    )  # fmt: skip
    assert (again, first.state) == (first, ProjectState.CREATED)


async def test_many_who_ask_at_once_get_one_project(platform: Platform) -> None:
    await platform.store.declare(PROJECTS, COUNTERS)
    asked = [made_projects(platform, "none").ensure(flight(), "ann") for _ in range(10)]
    answers = await asyncio.gather(*asked)

    assert sum(is_new for _, is_new in answers) == 1
    assert len({project.project_id for project, _ in answers}) == 1


async def test_users_see_their_own_projects_the_newest_first(platform: Platform) -> None:
    await platform.store.declare(PROJECTS, COUNTERS)
    projects = made_projects(platform, "none")
    for number in range(3):
        await projects.ensure(flight(f"A{number}"), "ann")
    theirs, _ = await projects.ensure(flight("B"), "bob")
    first = await projects.of_owner("ann", None, 2)
    rest = await projects.of_owner("ann", first.cursor, 2)

    names = [one.flight_name for one in (*first.projects, *rest.projects)]
    assert (names, first.total, rest.cursor) == (["A2", "A1", "A0"], 3, None)
    assert (await projects.of_owner(None)).total == 4
    assert theirs.project_id is not None
    with pytest.raises(NotFoundError):
        await projects.project(theirs.project_id, "ann")


async def test_a_sync_looks_at_the_flight_again_and_says_what_it_saw(platform: Platform) -> None:
    known = await known_flight(platform)
    await platform.store.declare(PROJECTS, COUNTERS)
    projects = made_projects(platform, "none")
    project, _ = await projects.ensure(known, "ann")
    assert project.project_id is not None
    synced = await projects.sync(project.project_id, "ann")
    grown = Listing(version="v2", seen_at=NOW, image_count=5, total_bytes=15)

    async def look(one: Flight) -> Flight:
        return one.model_copy(update={"listing": grown})

    projects.look = look
    assert synced.message == "Flight1 has 3 images; they are not staged yet."
    assert "has 5 images now" in (await projects.sync(project.project_id, "ann")).message
    with pytest.raises(NotFoundError):
        await projects.sync(project.project_id, "bob")


async def test_ten_replicas_make_one_project_at_webodm(platform: Platform, server: WebODMServer) -> None:
    async with bench(platform, server) as one, bench(platform, server) as two:
        asked = [each.projects.ensure(flight(), "ann") for _ in range(5) for each in (one, two)]
        answers = await asyncio.gather(*asked)
    (made,) = server.projects

    assert {project.project_id for project, _ in answers} == {made.id}
    assert sum(is_new for _, is_new in answers) == 1
    assert made.name == "Flight1 (ptdatax.project.PTDATAX-225)"
    assert made.tags.split()[:4] == ["tapis", "flight", "ptdatax.project.PTDATAX-225", "Flight1"]


async def test_flight1_and_flight10_get_a_project_each(platform: Platform, server: WebODMServer) -> None:
    async with bench(platform, server) as on:
        for name in ("Flight10", "Flight1", "Flight1, east #2"):
            _, is_new = await on.projects.ensure(flight(name), "ann")
            assert is_new
    assert len(server.projects) == 3


@pytest.mark.parametrize("kind", [Kind.CUT_AFTER, Kind.CUT_BEFORE, Kind.PAGE, Kind.STATUS, Kind.HANG])
async def test_a_lost_answer_makes_no_second_project(
    platform: Platform, server: WebODMServer, kind: Kind
) -> None:
    server.faults.plan(kind, "POST", path="/api/projects/$", times=2)
    async with bench(platform, server) as on:
        await on.projects.ensure(flight(), "ann")
        project = await on.project(project_key("id-Flight1", "ann"), lambda one: one.confirmed)
    (made,) = server.projects

    assert project.project_id == made.id


async def test_while_webodm_is_down_projects_wait_and_catch_up(
    platform: Platform, server: WebODMServer
) -> None:
    async with bench(platform, server) as on:
        await server.stop()
        project, _ = await on.projects.ensure(flight(), "ann")
        assert (project.state, project.project_id) == (ProjectState.WANTED, None)
        assert "cannot be reached" in (project.trouble or "")
        await server.start()
        project = await on.project(project.key, lambda one: one.project_id is not None)

        assert [made.id for made in server.projects] == [project.project_id]
        caught_up = await on.project(project.key, lambda one: one.trouble is None)
        assert caught_up.attempts == 0


async def test_a_project_that_is_there_with_our_tag_is_adopted(
    platform: Platform, server: WebODMServer
) -> None:
    pilot = server.accounts.users["pilot"]
    there = server.library.create(pilot, "mine", "own words", f"mine {project_key('id-Flight1', 'ann')}")
    async with bench(platform, server) as on:
        project, is_new = await on.projects.ensure(flight(), "ann")

    assert (project.project_id, project.adopted, is_new) == (there.id, True, False)
    assert (project.name, there.description) == ("mine", "own words")


async def test_a_project_of_the_name_that_nobody_tagged_is_adopted_once(
    platform: Platform, server: WebODMServer
) -> None:
    pilot = server.accounts.users["pilot"]
    there = server.library.create(pilot, "Flight1 (ptdatax.project.PTDATAX-225)", "by hand", "tapis")
    async with bench(platform, server) as on:
        project, _ = await on.projects.ensure(flight(), "ann")
        elsewhere, _ = await on.projects.ensure(flight(flight_id="another"), "ann")

    assert (project.project_id, there.description) == (there.id, "by hand")
    assert project.key in there.tags.split()
    assert elsewhere.project_id != there.id


async def test_a_project_that_its_owner_deleted_is_not_made_again(
    platform: Platform, server: WebODMServer
) -> None:
    async with bench(platform, server) as on:
        await on.projects.ensure(flight(), "ann")
        server.deleted_by_its_owner(server.projects[0])
        gone, _ = await on.projects.ensure(flight(), "ann")
        still_gone, is_new = await on.projects.ensure(flight(), "ann")
        listed = await on.projects.of_owner("ann")
        assert (gone.state, still_gone.state, is_new) == (ProjectState.DELETED, ProjectState.DELETED, False)
        assert (server.projects, listed.projects, listed.total) == ([], [], 0)

        back, is_new = await on.projects.ensure(flight(), "ann", again=True)
    assert (back.state, is_new, back.project_id) == (ProjectState.CREATED, True, server.projects[0].id)


async def test_a_deleted_project_is_noticed_without_anybody_asking(
    platform: Platform, server: WebODMServer
) -> None:
    async with bench(platform, server, check=timedelta(milliseconds=50)) as on:
        project, _ = await on.projects.ensure(flight(), "ann")
        server.deleted_by_its_owner(server.projects[0])
        await on.project(project.key, lambda one: one.state is ProjectState.DELETED)


async def test_a_project_whose_double_survived_is_followed_to_it(
    platform: Platform, server: WebODMServer
) -> None:
    async with bench(platform, server, confirm=timedelta(hours=1)) as on:
        project, _ = await on.projects.ensure(flight(), "ann")
        pilot = server.accounts.users["pilot"]
        double = server.library.create(pilot, project.name, "", f"{project.key}")
        server.deleted_by_its_owner(server.projects[0])
        moved, _ = await on.projects.ensure(flight(), "ann")

    assert (moved.state, moved.project_id) == (ProjectState.CREATED, double.id)


async def test_somebody_elses_project_with_our_tag_is_not_ours(
    platform: Platform, server: WebODMServer
) -> None:
    server.accounts.add(User("other", "x"))
    other = server.accounts.users["other"]
    server.library.create(other, "theirs", "", project_key("id-Flight1", "ann"))
    async with bench(platform, server) as on:
        project, is_new = await on.projects.ensure(flight(), "ann")

    assert is_new
    assert len(server.projects) == 2
    assert project.name != "theirs"
