"""What every kind of source does, whatever is behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.objects.s3_client import Server, s3_client
from shared.sources import (
    Entry,
    Source,
    SourceChangedError,
    SourceForbiddenError,
    flight_id,
    open_sources,
    read_flight,
)
from tests.shared.sources.places import (
    ManifestPlace,
    Opened,
    Place,
    S3Place,
    WebPlace,
    ZipPlace,
    content,
    dav_place,
    entry_of,
    file_place,
    on_the_web,
    tapis_place,
)
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

ODD_NAMES = (
    "a b.jpg", "#1.jpg", "who?.jpg", "50%.jpg", "50%25.jpg", "%2F.jpg", "a+b.jpg", "ü 日本.jpg", "a,b.jpg",
    "it's.jpg", 'say "hi".jpg', "a&b.jpg", "a;b=c.jpg", "[x].jpg", "~t.jpg", "a:b.jpg", "<b>.jpg", "a@b.jpg",
    "(1).JPG", "..a.jpg",
)  # fmt: skip
LARGE = bytes(range(256)) * 12_000
KINDS: dict[str, Callable[[Path], Opened]] = {
    "file": file_place,
    "dav": dav_place,
    "index": on_the_web(WebPlace),
    "manifest": on_the_web(ManifestPlace),
    "zip": on_the_web(ZipPlace),
    "tapis": tapis_place,
}


@pytest.fixture(params=["file", "s3", "dav", "index", "manifest", "zip", "tapis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param != "s3":
        async with KINDS[request.param](tmp_path) as opened:
            yield opened
        return
    server: S3Server = request.getfixturevalue("s3")
    async with s3_client(Server(server.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)) as client:
        yield S3Place(client, server, server.new_bucket(), tmp_path)


@asynccontextmanager
async def source_at(place: Place) -> AsyncIterator[Source]:
    async with open_sources(place.settings) as sources:
        yield await sources.at(place.uri)


async def test_files_and_folders_are_listed_apart(place: Place) -> None:
    for path in ("b.jpg", "a.jpg", "code/images/c.jpg", "code/geo.txt"):
        await place.put(path, path.encode())
    async with source_at(place) as source:
        root, code = await source.folder(), await source.folder("code")

    names = [entry.path for entry in root.files]
    assert [name for name in names if name != "flight.json"] == ["a.jpg", "b.jpg"]
    assert root.folders == ("code",)
    assert ([entry.path for entry in code.files], code.folders) == (["code/geo.txt"], ("code/images",))
    assert [entry.size_bytes for entry in code.files] == [len("code/geo.txt")]


async def test_a_file_is_read_whole(place: Place) -> None:
    await place.put("code/images/a.jpg", LARGE)
    async with source_at(place) as source:
        assert await content(source, await entry_of(source, "code/images/a.jpg")) == LARGE


async def test_an_empty_file_has_no_content(place: Place) -> None:
    await place.put("empty.jpg", b"")
    async with source_at(place) as source:
        assert await content(source, await entry_of(source, "empty.jpg")) == b""


async def test_odd_names_are_listed_and_read_as_they_are(place: Place) -> None:
    for name in ODD_NAMES:
        await place.put(f"odd #1 % ü/{name}", name.encode())
    async with source_at(place) as source:
        assert (await source.folder()).folders == ("odd #1 % ü",)
        listed = (await source.folder("odd #1 % ü")).files
        read = {entry.path: await content(source, entry) for entry in listed}

    assert read == {f"odd #1 % ü/{name}": name.encode() for name in ODD_NAMES}


async def test_reading_begins_in_the_middle_where_the_source_has_ranges(place: Place) -> None:
    await place.put("a.jpg", LARGE)
    async with source_at(place) as source:
        entry = await entry_of(source, "a.jpg")
        if source.capabilities.ranges:
            for start in (1, 1_000_000, len(LARGE)):
                assert await content(source, entry, start) == LARGE[start:]
        else:
            with pytest.raises(InvalidInputError, match="from byte 1"):
                await content(source, entry, 1)
        with pytest.raises(InvalidInputError):
            await content(source, entry, len(LARGE) + 1)


async def test_a_flight_has_one_version_until_a_file_changes(place: Place) -> None:
    await place.put("code/images/a.jpg", b"one")
    async with source_at(place) as source:
        first = (await read_flight(source, "code/images")).version
        assert (await read_flight(source, "code/images")).version == first
        await place.put("code/images/a.jpg", b"two")
        assert (await read_flight(source, "code/images")).version != first


async def test_a_file_replaced_since_it_was_listed_has_changed(place: Place) -> None:
    await place.put("a.jpg", b"one")
    async with source_at(place) as source:
        entry = await entry_of(source, "a.jpg")
        await place.put("a.jpg", b"two")
        with pytest.raises(SourceChangedError):
            await content(source, entry)


@pytest.mark.parametrize("size_bytes", [10, 5_000_000])
async def test_a_file_of_another_size_has_changed(place: Place, size_bytes: int) -> None:
    await place.put("a.jpg", LARGE)
    async with source_at(place) as source:
        entry = await entry_of(source, "a.jpg")
        await place.put("a.jpg", bytes(size_bytes))
        with pytest.raises(SourceChangedError):
            await content(source, entry)


async def test_a_file_removed_since_it_was_listed_has_changed(place: Place) -> None:
    await place.put("a.jpg", b"one")
    await place.put("b.jpg", b"one")
    async with source_at(place) as source:
        entry = await entry_of(source, "a.jpg")
        await place.remove("a.jpg")
        with pytest.raises(SourceChangedError):
            await content(source, entry)


async def test_a_folder_that_is_not_there_is_not_found(place: Place) -> None:
    await place.put("a.jpg", b"one")
    async with source_at(place) as source:
        with pytest.raises(NotFoundError):
            await source.folder("nothing")


async def test_a_neighbour_whose_name_begins_alike_is_another(place: Place) -> None:
    await place.put("Flight1/a.jpg", b"1")
    await place.put("Flight10/b.jpg", b"10")
    async with source_at(place) as source:
        assert [entry.path for entry in (await source.folder("Flight1")).files] == ["Flight1/a.jpg"]
        assert flight_id(source, "Flight1") != flight_id(source, "Flight10")


async def test_a_path_out_of_the_source_is_refused(place: Place) -> None:
    await place.put("a/b.jpg", b"one")
    async with source_at(place) as source:
        for path in ("..", "a/../..", "/etc", "a//b", "a/\0"):
            with pytest.raises((InvalidInputError, NotFoundError)):
                await source.folder(path)
            with pytest.raises((InvalidInputError, SourceChangedError)):
                await content(source, Entry(f"{path}/x", 1, "t"))


async def test_a_source_is_found_again_by_its_uri(place: Place) -> None:
    await place.put("a.jpg", b"one")
    async with source_at(place) as source:
        again_id = flight_id(source, "")
        place.uri = source.uri
    async with source_at(place) as again:
        assert flight_id(again, "") == again_id
        assert await entry_of(again, "a.jpg")


async def test_what_may_not_be_read_is_forbidden(place: Place) -> None:
    if not place.can_forbid:
        pytest.skip("this server lets everybody in")
    await place.put("a.jpg", b"one")
    await place.forbid()
    async with source_at(place) as source:
        with pytest.raises(SourceForbiddenError):
            await source.folder()


async def test_a_server_that_does_not_answer_is_worth_another_try(place: Place) -> None:
    try:
        place.uri, place.settings = place.unreachable()
    except NotImplementedError:
        pytest.skip("there is no server")
    async with source_at(place) as source:
        with pytest.raises(TransientError):
            await source.folder()
