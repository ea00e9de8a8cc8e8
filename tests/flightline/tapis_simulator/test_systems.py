"""Searching, ordering and paging systems, by tapipy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.tapis import USER, TapisServer, blocking, refused, tapis_server


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        yield running


@pytest.fixture
async def client(server: TapisServer) -> Any:
    return await server.logged_in()


async def ids(client: Any, **query: Any) -> list[str]:
    return [system.id for system in await blocking(client.systems.getSystems, **query)]


async def test_only_one_s_own_are_listed_unless_all_are_asked_for(server: TapisServer, client: Any) -> None:
    server.tapis.add_system("own", USER)
    server.tapis.add_system("shared", "other").shared_with = frozenset({USER})
    server.tapis.add_system("public", "other").is_public = True
    server.tapis.add_system("foreign", "other")

    assert await ids(client) == ["own"]
    assert await ids(client, listType="SHARED_PUBLIC") == ["public"]
    assert await ids(client, listType="ALL") == ["own", "public", "shared"]


async def test_250_systems_come_in_pages(server: TapisServer, client: Any) -> None:
    for number in range(250):
        server.tapis.add_system(f"ptdatax.project.{number:03}", USER)

    pages = [await ids(client, listType="ALL", skip=skip) for skip in (0, 100, 200, 300)]

    assert [len(page) for page in pages] == [100, 100, 50, 0]
    assert len(await ids(client, limit=-1)) == 250


async def test_a_page_can_begin_after_an_id(server: TapisServer, client: Any) -> None:
    for name in "abcde":
        server.tapis.add_system(name, USER)

    assert await ids(client, orderBy="id(asc)", startAfter="b", limit=2) == ["c", "d"]
    assert await ids(client, orderBy="id(desc)", startAfter="d") == ["c", "b", "a"]


async def test_the_total_is_told_if_asked_for(server: TapisServer, client: Any) -> None:
    for name in "abc":
        server.tapis.add_system(name, USER)

    _, debug = await blocking(client.systems.getSystems, limit=2, computeTotal=True, _tapis_debug=True)
    _, silent = await blocking(client.systems.getSystems, limit=2, _tapis_debug=True)

    assert debug.response.json()["metadata"]["totalCount"] == 3
    assert silent.response.json()["metadata"]["totalCount"] == -1


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("id.like.ptdatax.project.*", ["ptdatax.project.A-1", "ptdatax.project.B-2"]),
        ("(id.like.ptdatax.project.*)~(systemType.eq.S3)", ["ptdatax.project.B-2"]),
        ("(id.like.ptdatax.project.!-1)", ["ptdatax.project.A-1"]),
        ("(id.nlike.ptdatax*)", ["cloud"]),
        ("(id.in.cloud,ptdatax.project.A-1)", ["cloud", "ptdatax.project.A-1"]),
        ("(system_type.neq.LINUX)", ["ptdatax.project.B-2"]),
        ("(enabled.eq.false)", ["cloud"]),
        ("(id.between.d,ptdatax.project.B)", ["ptdatax.project.A-1"]),
        ("(sharedWithUsers.contains.friend)", ["cloud"]),
        ("(created.gt.2001-01-01)~(id.gte.d)", ["ptdatax.project.A-1", "ptdatax.project.B-2"]),
        (r"(id.like.cl\*)", []),
    ],
)
async def test_conditions_find(server: TapisServer, client: Any, search: str, found: list[str]) -> None:
    server.tapis.add_system("ptdatax.project.A-1", USER)
    server.tapis.add_system("ptdatax.project.B-2", USER, type="S3")
    cloud = server.tapis.add_system("cloud", USER)
    cloud.is_enabled, cloud.shared_with = False, frozenset({"friend"})

    assert await ids(client, search=search) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": "id"},
        {"search": "(nothing.eq.1)"},
        {"search": "(id.resembles.1)"},
        {"orderBy": "id(sideways)"},
        {"listType": "MINE"},
        {"startAfter": "a"},
        {"limit": -2},
    ],
)
async def test_what_is_no_condition_is_a_bad_request(client: Any, wrong: dict[str, Any]) -> None:
    with refused("BadRequestError"):
        await blocking(client.systems.getSystems, **wrong)


async def test_attributes_can_be_chosen_and_the_id_always_comes(server: TapisServer, client: Any) -> None:
    server.tapis.add_system("own", USER)

    chosen = (await blocking(client.systems.getSystems, select="host,created"))[0]
    summary = (await blocking(client.systems.getSystems))[0]
    whole = await blocking(client.systems.getSystem, systemId="own")

    assert set(vars(chosen)) == {"id", "host", "created"}
    assert not hasattr(summary, "created")
    assert whole.rootDir == "/data/projects/own"


async def test_systems_without_credentials_are_seen_and_can_be_left_out(
    server: TapisServer, client: Any
) -> None:
    server.flight("locked").with_credentials = frozenset()

    assert await ids(client) == ["locked"]
    assert await ids(client, hasCredentials=True) == []
    with refused("InternalServerError"):
        await blocking(client.files.listFiles, systemId="locked", path="/")


async def test_a_disabled_system_is_seen_and_its_files_are_not_found(
    server: TapisServer, client: Any
) -> None:
    server.flight("asleep").is_enabled = False

    assert await ids(client) == ["asleep"]
    with refused("NotFoundError"):
        await blocking(client.files.listFiles, systemId="asleep", path="/")


async def test_a_foreign_system_is_forbidden_and_an_unknown_one_not_found(
    server: TapisServer, client: Any
) -> None:
    server.flight("foreign", owner="other")

    with refused("ForbiddenError"):
        await blocking(client.systems.getSystem, systemId="foreign")
    with refused("ForbiddenError"):
        await blocking(client.files.listFiles, systemId="foreign", path="/")
    with refused("NotFoundError"):
        await blocking(client.systems.getSystem, systemId="nowhere")


async def test_a_deleted_system_shows_up_only_if_asked_for(server: TapisServer, client: Any) -> None:
    server.tapis.add_system("gone", USER).is_deleted = True

    assert await ids(client) == []
    assert await ids(client, showDeleted=True) == ["gone"]
