from __future__ import annotations

import asyncio
import time

import pytest

from shared.errors import InvalidInputError, NotFoundError
from shared.sources import LoginNeededError, SourceForbiddenError, read_flight
from tests.shared.tapis.clients import FLIGHT, SYSTEM, client_of, read, source_of
from tests.support.tapis import USER, TapisServer

PATTERN = "ptdatax.project.*"


async def test_shared_systems_are_found_as_well_as_owned_ones(server: TapisServer) -> None:
    server.tapis.add_system("ptdatax.project.OWN", USER)
    server.tapis.add_system("ptdatax.project.SHARED", "somebody").shared_with = frozenset({USER})
    server.tapis.add_system("ptdatax.project.FOREIGN", "somebody")
    server.tapis.add_system("other.OWN", USER)
    async with client_of(server) as client:
        found = await client.systems("", PATTERN)

    assert [system.id for system in found] == ["ptdatax.project.OWN", "ptdatax.project.SHARED"]


async def test_more_than_a_page_of_systems_is_found(server: TapisServer) -> None:
    for number in range(1205):
        server.tapis.add_system(f"ptdatax.project.{number:04}", USER)
    async with client_of(server) as client:
        found = await client.systems("", PATTERN)

    assert [system.id for system in found] == [f"ptdatax.project.{number:04}" for number in range(1205)]
    assert server.tapis.calls.by_operation["getSystems"] == 2


async def test_systems_tell_why_they_cannot_be_read(server: TapisServer) -> None:
    server.tapis.add_system("ptdatax.project.A", USER)
    server.tapis.add_system("ptdatax.project.B", USER).is_enabled = False
    server.tapis.add_system("ptdatax.project.C", USER).with_credentials = frozenset()
    async with client_of(server) as client:
        found = await client.systems("", PATTERN)

    assert [system.access for system in found] == ["ok", "disabled", "no-credentials"]


@pytest.mark.parametrize(
    ("trouble", "says"), [("is_enabled", "switched off"), ("with_credentials", "register them there")]
)
async def test_a_system_that_cannot_be_read_says_what_to_do(
    server: TapisServer, trouble: str, says: str
) -> None:
    setattr(server.flight(SYSTEM), trouble, {"is_enabled": False, "with_credentials": frozenset()}[trouble])
    async with source_of(server) as source:
        with pytest.raises(SourceForbiddenError, match=says):
            await source.folder("Flight1")


async def test_a_dead_system_does_not_hold_up_the_others(server: TapisServer) -> None:
    server.flight("ptdatax.project.DEAD")
    server.flight(SYSTEM)
    server.tapis.faults.switch_on("hang", times=None, system="ptdatax.project.DEAD", seconds=60)
    async with client_of(server) as client:
        await client.systems("", PATTERN)
        dying = [asyncio.create_task(client.listing("", "ptdatax.project.DEAD", "")) for _ in range(40)]
        await asyncio.sleep(0.1)
        begun_s = time.monotonic()
        for _ in range(5):
            assert (await client.listing("", SYSTEM, "")).folders == {"Flight1"}
        assert time.monotonic() - begun_s < 10
        for task in dying:
            task.cancel()


@pytest.mark.parametrize(("images", "calls"), [(999, 1), (1001, 2), (2345, 3)])
async def test_a_large_folder_is_listed_page_by_page(server: TapisServer, images: int, calls: int) -> None:
    server.flight(SYSTEM, images=images)
    async with client_of(server) as client:
        listed = await client.listing("", SYSTEM, FLIGHT)

    assert len(listed.files) == images
    assert server.tapis.calls.by_operation["listFiles"] == calls


@pytest.mark.parametrize("kind", ["appear", "disappear"])
async def test_a_page_that_shifts_loses_no_file_and_doubles_none(server: TapisServer, kind: str) -> None:
    files = server.flight(SYSTEM, images=2345).files
    server.tapis.faults.switch_on(kind, after=1)  # type: ignore[arg-type]
    async with client_of(server) as client:
        listed = await client.listing("", SYSTEM, FLIGHT)

    assert set(listed.files) == {entry.name for entry in files.children(FLIGHT) or ()}


async def test_files_that_a_page_repeats_count_once(server: TapisServer) -> None:
    server.flight(SYSTEM, images=1500)
    server.tapis.faults.switch_on("duplicate", times=None, files=7)
    async with client_of(server) as client:
        assert len((await client.listing("", SYSTEM, FLIGHT)).files) == 1500


async def test_a_folder_that_never_stands_still_is_given_up(server: TapisServer) -> None:
    server.flight(SYSTEM, images=1500)
    server.tapis.faults.switch_on("disappear", times=None)
    async with client_of(server) as client:
        with pytest.raises(Exception, match="changes while it is listed"):
            await client.listing("", SYSTEM, FLIGHT)


async def test_a_growing_flight_has_another_version_each_time(server: TapisServer) -> None:
    server.flight(SYSTEM, images=10)
    server.tapis.faults.switch_on("grow", times=None, files=2, path="images")
    async with source_of(server) as source:
        versions = {(await read_flight(source, FLIGHT)).version for _ in range(3)}

    assert len(versions) == 3


async def test_a_system_of_keys_has_folders_too(server: TapisServer) -> None:
    server.flight(SYSTEM, "Flight1", 3).type = "S3"
    server.flight(SYSTEM, "Flight10", 4)
    server.tapis.systems[SYSTEM].files.add("readme.txt", 10)
    async with source_of(server) as source:
        root, flight = await source.folder(), await source.folder("Flight1")
        images = await source.folder(FLIGHT)
        assert len(await read(source, f"{FLIGHT}/DJI_00001.JPG")) == 1000
        with pytest.raises(NotFoundError):
            await source.folder("Flight")

    assert ([entry.path for entry in root.files], root.folders) == (["readme.txt"], ("Flight1", "Flight10"))
    assert flight.folders == ("Flight1/code",)
    assert len(images.files) == 3


async def test_more_than_a_page_of_keys_is_sorted_into_folders(server: TapisServer) -> None:
    server.flight(SYSTEM, "A", 1500).type = "S3"
    server.flight(SYSTEM, "B", 1500)
    async with source_of(server) as source:
        assert (await source.folder()).folders == ("A", "B")
        assert len((await source.folder("B/code/images")).files) == 1500


async def test_a_file_is_no_folder(server: TapisServer) -> None:
    server.flight(SYSTEM)
    async with source_of(server) as source:
        with pytest.raises(InvalidInputError, match="is no folder"):
            await source.folder(f"{FLIGHT}/DJI_00001.JPG")


async def test_an_unknown_system_is_not_found(server: TapisServer) -> None:
    async with client_of(server) as client:
        with pytest.raises(NotFoundError):
            await client.listing("", "ptdatax.project.NONE", "")


async def test_a_user_who_never_logged_in_has_to(server: TapisServer) -> None:
    async with client_of(server) as client:
        with pytest.raises(LoginNeededError, match="tester@portals"):
            await client.systems("tester@portals")


async def test_no_more_requests_are_under_way_than_a_system_takes(server: TapisServer) -> None:
    system = server.flight(SYSTEM, images=60)
    system.max_sessions, system.busy_status, system.latency_s = 2, 429, 0.01
    async with source_of(server) as source:
        folder = await source.folder(FLIGHT)
        paths = [entry.path for entry in folder.files]
        sizes = [len(await one) for one in asyncio.as_completed([read(source, path) for path in paths[:24]])]

    assert sizes == [1000] * 24
