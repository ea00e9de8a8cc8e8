from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInputError, NotFoundError
from shared.sources import FileRule, Layout, LoginNeededError, Place, Source, find, read_flight
from shared.sources.folder import FolderSource
from shared.sources.tapis import TapisSource
from tests.shared.tapis.clients import SYSTEM, client_of, source_of
from tests.support.tapis import TapisServer, tapis_server


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


async def places(source: Source, layout: Layout | None = None) -> list[Place]:
    return [place async for place in find(source, layout or Layout())]


async def found(root: Path, layout: Layout | None = None) -> list[str]:
    return [place.images_path for place in await places(FolderSource(root), layout)]


async def test_flights_lie_where_odm_has_its_images(tmp_path: Path) -> None:
    put(
        tmp_path,
        "F1/code/images/a.jpg",
        "F10/code/images/b.JPEG",
        "F2/images/c.jpg",
        "d.jpg",
        "F3/code/images/e.txt",
    )

    assert await found(tmp_path) == ["F1/code/images", "F10/code/images"]


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (("*/images",), ["F2/images"]),
        (("*/*/images",), ["F1/code/images", "F2/raw/images"]),
        (("F?/images", "F2/raw/images"), ["F2/images", "F2/raw/images"]),
        (("F2/*",), ["F2/images"]),
        (("*/images", "F2/images"), ["F2/images"]),
        (("*",), ["F4"]),
        (("nothing/*/here", "F4"), ["F4"]),
    ],
)
async def test_other_layouts_are_followed(
    tmp_path: Path, globs: tuple[str, ...], expected: list[str]
) -> None:
    put(tmp_path, "F1/code/images/a.jpg", "F2/images/b.jpg", "F2/raw/images/c.jpg", "F4/d.jpg")

    assert await found(tmp_path, Layout(globs)) == expected


async def test_a_flight_has_so_many_images_at_least(tmp_path: Path) -> None:
    put(tmp_path, "F1/code/images/a.jpg", "F2/code/images/a.jpg", "F2/code/images/b.jpg")

    assert await found(tmp_path, Layout(min_images=2)) == ["F2/code/images"]


async def test_a_marker_beside_the_images_or_above_says_that_they_are_complete(tmp_path: Path) -> None:
    put(tmp_path, *(f"F{number}/code/images/a.jpg" for number in range(3)))
    put(tmp_path, "F0/code/READY", "F1/code/images/READY")
    marked = [place.is_marked for place in await places(FolderSource(tmp_path), Layout(ready_marker="READY"))]

    assert marked == [True, True, False]


async def test_what_a_flight_is_made_of_can_be_told(tmp_path: Path) -> None:
    put(tmp_path, "F/code/images/a.TIF", "F/code/images/b.jpg", "F/code/marks.csv", "F/code/align.xyz")
    rule = FileRule(suffixes=(".tif",), sidecars=("*.csv",))
    (place,) = await places(FolderSource(tmp_path), Layout(files=rule))

    assert place.flight is not None
    assert [entry.path for entry in place.flight.images] == ["F/code/images/a.TIF"]
    assert [entry.path for entry in place.flight.sidecars] == ["F/code/marks.csv"]
    assert place.flight.version == (await read_flight(FolderSource(tmp_path), "F/code/images", rule)).version


async def test_a_flight_found_is_the_one_that_is_read(tmp_path: Path) -> None:
    put(tmp_path, "F/code/images/a.jpg", "F/code/images/geo.txt", "F/code/gcp_list.txt", "F/code/align.laz")
    (place,) = await places(FolderSource(tmp_path))

    assert place.flight == await read_flight(FolderSource(tmp_path), "F/code/images")
    assert place.flight is not None
    assert len(place.flight.sidecars) == 3


async def test_a_root_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await found(tmp_path / "nothing")


@pytest.mark.parametrize("glob", ["", "/a", "a//b", "a/", "../a", "a/" * 20 + "a"])
def test_a_layout_that_fits_nothing_is_refused(glob: str) -> None:
    with pytest.raises(InvalidInputError, match="patterns joined by single slashes"):
        Layout((glob,))


async def full_of_flights(server: TapisServer, count: int = 10) -> None:
    for number in range(count):
        server.flight(SYSTEM, f"Flight{number}", 2)


async def test_no_listing_is_asked_for_that_could_be_spared() -> None:
    async with tapis_server() as server:
        await full_of_flights(server)
        async with source_of(server) as source:
            assert len(await places(source)) == 10

        assert server.tapis.calls.by_operation["listFiles"] == 1 + 10 * 2


async def test_a_flight_in_trouble_hides_no_other() -> None:
    async with tapis_server() as server:
        await full_of_flights(server, 4)
        server.tapis.faults.switch_on("status", status=403, times=None, path="Flight1/code$")
        server.tapis.faults.switch_on("status", status=500, times=None, path="Flight2/code/images")
        async with source_of(server) as source:
            seen = await places(source)

    assert [place.images_path for place in seen if place.flight] == [
        "Flight0/code/images",
        "Flight3/code/images",
    ]
    assert [place.images_path for place in seen if place.trouble] == [
        "Flight1/code/images",
        "Flight2/code/images",
    ]


async def test_who_has_to_log_in_hears_so_at_once() -> None:
    async with tapis_server() as server:
        await full_of_flights(server)
        async with client_of(server) as client:
            source = TapisSource(client, SYSTEM, "")
            server.tapis.faults.switch_on("status", status=401, times=None, path="Flight3/code")
            with pytest.raises(LoginNeededError):
                await places(source)
