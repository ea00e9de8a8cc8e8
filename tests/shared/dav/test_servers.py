"""The same promises on every server."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.dav import AlreadyThereError, ChangedError, Dav, DavResource, ParentMissingError
from shared.errors import InvalidInputError, NotFoundError, TransientError
from tests.shared.dav.contents import IMAGE, read, sha256, written
from tests.support.dav_servers import RunningDav

DECOMPOSED = "u\u0308ber.jpg"
NAMES = (
    "50%25 %41.jpg",
    "field #7.jpg",
    "a+b&c='d'.jpg",
    "\u00fcber.jpg",
    DECOMPOSED,
    "無人機 🚁.jpg",
    "..a...jpg",
    "twin.jpg",
    "TWIN.JPG",
    "n" * 246 + ".jpg",
)


async def test_names_travel_as_they_are(dav: Dav, dav_server: RunningDav) -> None:
    folder = "fo lder #1/a%20b"
    await dav.make_folders(folder)

    names = [name for name in NAMES if name != DECOMPOSED or dav_server.kind != "real"]  # it composes them

    stored = [await written(dav, f"{folder}/{name}", name.encode()) for name in names]
    listed = (await dav.folder(folder)).files

    assert listed == tuple(sorted(stored, key=lambda resource: resource.path))
    assert dav_server.stored.names(folder) == set(names)
    for one in listed:
        assert await read(dav, one.path, one.etag, one.size_bytes) == one.name.encode()


async def test_a_new_file_is_stored_whole_and_nothing_beside_it(dav: Dav, dav_server: RunningDav) -> None:
    stored = await written(dav, "a.jpg")

    assert (stored.size_bytes, stored.path, stored.is_folder) == (len(IMAGE), "a.jpg", False)
    assert dav_server.stored.get("a.jpg") == IMAGE
    assert dav_server.stored.names() == {"a.jpg"}


async def test_a_file_is_written_from_a_file(dav: Dav, dav_server: RunningDav) -> None:
    await dav.write_new("a.jpg", io.BytesIO(IMAGE), sha256=sha256(IMAGE))

    assert dav_server.stored.get("a.jpg") == IMAGE


async def test_nothing_is_ever_overwritten(dav: Dav, dav_server: RunningDav) -> None:
    dav_server.stored.put("a.jpg", b"theirs")
    await dav.make_folders("b.jpg")

    for path in ("a.jpg", "b.jpg"):
        with pytest.raises(AlreadyThereError):
            await written(dav, path)

    assert dav_server.stored.get("a.jpg") == b"theirs"
    assert dav_server.stored.names() == {"a.jpg"}


async def test_of_many_writers_of_one_name_none_destroys_what_another_was_told_is_stored(
    dav: Dav, dav_server: RunningDav
) -> None:
    contents = [bytes([number]) * 50_000 for number in range(6)]

    outcomes = await asyncio.gather(
        *(written(dav, "a.jpg", content) for content in contents), return_exceptions=True
    )

    winners = [contents[at] for at, outcome in enumerate(outcomes) if isinstance(outcome, DavResource)]
    losses = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert dav_server.stored.get("a.jpg") in winners
    assert dav_server.stored.names() == {"a.jpg"}
    assert all(isinstance(loss, AlreadyThereError | TransientError) for loss in losses), losses


async def test_a_missing_folder_is_told_as_such(dav: Dav) -> None:
    stored = await written(dav, "a.jpg")

    with pytest.raises(ParentMissingError):
        await written(dav, "nowhere/b.jpg")
    with pytest.raises(ParentMissingError):  # Apache answers 500, nginx 204
        await dav.move("a.jpg", "nowhere/a.jpg", etag=stored.etag)
    assert await dav.look("a.jpg") == stored


async def test_only_what_was_looked_at_is_deleted(dav: Dav, dav_server: RunningDav) -> None:
    stored = await written(dav, "a.jpg")
    dav_server.stored.put("a.jpg", b"replaced")

    with pytest.raises(ChangedError):
        await dav.delete("a.jpg", etag=stored.etag, size_bytes=stored.size_bytes)
    now = await dav.look("a.jpg")
    await dav.delete("a.jpg", etag=now.etag, size_bytes=now.size_bytes)

    assert dav_server.stored.names() == set()
    with pytest.raises(NotFoundError):
        await dav.delete("a.jpg", etag=now.etag)


async def test_only_what_was_looked_at_is_moved(dav: Dav, dav_server: RunningDav) -> None:
    stored = await written(dav, "a.jpg")
    dav_server.stored.put("a.jpg", b"replaced")
    await dav.make_folders("cats")

    with pytest.raises(ChangedError):
        await dav.move("a.jpg", "cats/a.jpg", etag=stored.etag)
    await dav.move("a.jpg", "cats/a.jpg", etag=(await dav.look("a.jpg")).etag)

    assert dav_server.stored.names() == {"cats/a.jpg"}
    with pytest.raises(NotFoundError):
        await dav.move("a.jpg", "cats/b.jpg", etag=stored.etag)


async def test_nothing_is_moved_onto_another(dav: Dav, dav_server: RunningDav) -> None:
    stored = await written(dav, "a.jpg")
    dav_server.stored.put("b.jpg", b"theirs")

    with pytest.raises(AlreadyThereError):
        await dav.move("a.jpg", "b.jpg", etag=stored.etag)
    with pytest.raises(InvalidInputError):
        await dav.move("a.jpg", "a.jpg", etag=stored.etag)

    assert (dav_server.stored.get("a.jpg"), dav_server.stored.get("b.jpg")) == (IMAGE, b"theirs")


async def test_a_replaced_file_is_not_read_for_the_one_that_was_listed(
    dav: Dav, dav_server: RunningDav
) -> None:
    stored = await written(dav, "a.jpg")
    dav_server.stored.put("a.jpg", b"replaced")

    with pytest.raises(ChangedError):
        await read(dav, "a.jpg", stored.etag, stored.size_bytes)
    assert await read(dav, "a.jpg") == b"replaced"


async def test_folders_are_made_where_they_are_missing(dav: Dav, dav_server: RunningDav) -> None:
    await dav.make_folders("a/b/c d")
    await dav.make_folders("a/b/c d")
    await dav.make_folders("a/b/e")
    dav_server.stored.put("f.jpg", b"")

    assert [folder.path for folder in (await dav.folder("a/b")).folders] == ["a/b/c d", "a/b/e"]
    with pytest.raises(AlreadyThereError):
        await dav.make_folders("f.jpg")


async def test_what_is_not_there_is_not_found(dav: Dav) -> None:
    for asked in (dav.folder("x"), dav.look("x"), read(dav, "x.jpg"), dav.stored_sha256("x.jpg")):
        with pytest.raises(NotFoundError):
            await asked


async def test_a_file_is_no_folder(dav: Dav) -> None:
    await written(dav, "a.jpg")

    with pytest.raises((InvalidInputError, NotFoundError)):
        await dav.folder("a.jpg")


async def test_the_stored_hash_is_of_what_is_stored(dav: Dav, dav_server: RunningDav) -> None:
    stored = await written(dav, "a.jpg")
    assert await dav.stored_sha256("a.jpg", etag=stored.etag) == sha256(IMAGE)

    dav_server.stored.put("a.jpg", b"replaced")
    with pytest.raises(ChangedError):
        await dav.stored_sha256("a.jpg", etag=stored.etag)
    await asyncio.sleep(1 if dav_server.kind == "lighttpd" else 0)  # it remembers sizes for a moment
    assert await dav.stored_sha256("a.jpg") == sha256(b"replaced")


async def test_an_empty_file_is_a_file(dav: Dav) -> None:
    stored = await written(dav, "a.jpg", b"")

    assert stored.size_bytes == 0
    assert await read(dav, "a.jpg", stored.etag) == b""


async def test_a_file_can_be_deleted_right_after_it_was_written(dav: Dav, dav_server: RunningDav) -> None:
    """Apache's ETags are weak for a second after a write, and match nothing until then."""
    stored = await written(dav, "a.jpg")

    await dav.delete("a.jpg", etag=stored.etag, size_bytes=stored.size_bytes)

    assert dav_server.stored.names() == set()


async def test_probing_leaves_nothing_behind_and_touches_nothing(dav: Dav, dav_server: RunningDav) -> None:
    dav_server.stored.put("raw/a.jpg", b"theirs")

    habits = await dav.probe("raw")

    assert (habits.honours_if_none_match, habits.honours_if_match, habits.honours_overwrite) == (True,) * 3
    assert habits.risks == ()
    assert dav_server.stored.names() == {"raw/a.jpg"}


async def test_the_time_of_change_is_told(dav: Dav) -> None:
    stored = await dav.write_new(
        "a.jpg", b"x", sha256=sha256(b"x"), modified_at=datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    )

    assert stored.modified_at is not None
    if dav.habits.hashes_content:  # only a Nextcloud keeps it
        assert stored.modified_at == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_paths_that_lead_elsewhere_are_not_sent(dav: Dav) -> None:
    stored = await written(dav, "a.jpg")

    for path in ("../x", "a/../../x", "/x", "a//x", "a/./x", "a\\x", "a\nx", "a\0x", "\udcff"):
        asked = (
            dav.look(path),
            dav.folder(path),
            read(dav, path),
            written(dav, path),
            dav.delete(path, etag=stored.etag),
            dav.move("a.jpg", path, etag=stored.etag),
            dav.move(path, "b.jpg", etag=stored.etag),
            dav.make_folders(path),
        )
        for one in asked:
            with pytest.raises(InvalidInputError):
                await one


async def test_leftovers_of_a_killed_writer_are_told_apart_and_tidied_when_old(
    dav: Dav, dav_server: RunningDav
) -> None:
    old = f".flightline-new-{1_700_000_000:08x}-{'0' * 24}"
    fresh = f".flightline-new-ffffffff-{'0' * 24}"
    for name in (old, fresh, ".flightline-notes.txt"):
        dav_server.stored.put(f"raw/{name}", b"half")

    listed = await dav.folder("raw")
    removed = await dav.tidy(listed)

    assert [file.name for file in listed.files] == [".flightline-notes.txt"]
    assert removed == 1
    assert {Path(name).name for name in dav_server.stored.names("raw")} == {fresh, ".flightline-notes.txt"}
