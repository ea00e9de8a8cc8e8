"""nginx ignores every precondition: that is found out, and worked around as far as it goes."""

from __future__ import annotations

import pytest

from shared.dav import AlreadyThereError, ChangedError, Dav, ParentMissingError, open_dav
from tests.shared.dav.contents import IMAGE, read, written
from tests.support.dav_servers import RunningDav

Lax = tuple[Dav, RunningDav]


async def test_what_it_ignores_is_found_out_on_files_of_our_own_alone(lax_dav: Lax) -> None:
    dav, server = lax_dav
    server.stored.put("raw/a.jpg", b"theirs")

    habits = await dav.probe("raw")

    assert not habits.honours_if_none_match
    assert not habits.honours_if_match
    assert habits.honours_overwrite
    assert "replaced in the moment between our look and our delete" in habits.risks[0]
    assert server.stored.names() == {"raw/a.jpg"}


async def test_nothing_is_overwritten_all_the_same(lax_dav: Lax) -> None:
    dav, server = lax_dav
    server.stored.put("a.jpg", b"theirs")

    with pytest.raises(AlreadyThereError):
        await written(dav, "a.jpg")
    with pytest.raises(ParentMissingError):
        await written(dav, "nowhere/a.jpg")
    await written(dav, "b.jpg")

    assert server.stored.get("a.jpg") == b"theirs"
    assert server.stored.names() == {"a.jpg", "b.jpg"}


async def test_what_was_replaced_is_neither_deleted_nor_moved_nor_read(lax_dav: Lax) -> None:
    dav, server = lax_dav
    (listed,) = (await dav.folder(""), await written(dav, "a.jpg"))[1:]
    server.stored.put("a.jpg", b"replaced")

    with pytest.raises(ChangedError):
        await dav.delete("a.jpg", etag=listed.etag, size_bytes=listed.size_bytes)
    with pytest.raises(ChangedError):
        await dav.move("a.jpg", "b.jpg", etag=listed.etag)
    with pytest.raises(ChangedError):
        await read(dav, "a.jpg", listed.etag, listed.size_bytes)

    assert server.stored.names() == {"a.jpg"}


async def test_what_was_not_replaced_is(lax_dav: Lax) -> None:
    dav, server = lax_dav
    stored = await written(dav, "a.jpg")

    assert await read(dav, "a.jpg", stored.etag, stored.size_bytes) == IMAGE
    with pytest.raises(ParentMissingError):  # of itself it answers 204
        await dav.move("a.jpg", "nowhere/a.jpg", etag=stored.etag)
    await dav.make_folders("cats/small")
    await dav.move("a.jpg", "cats/small/a.jpg", etag=stored.etag)
    assert server.stored.names() == {"cats/small/a.jpg"}
    await dav.delete("cats/small/a.jpg", etag=stored.etag, size_bytes=stored.size_bytes)

    assert server.stored.names() == set()


async def test_before_a_server_was_tried_nothing_is_relied_on(nextcloud_dav: Dav, lax_dav: Lax) -> None:
    _, server = lax_dav
    for place in (server.place, nextcloud_dav.place):
        async with open_dav(place) as untried:
            stored = await written(untried, "a.jpg")
            with pytest.raises(AlreadyThereError):
                await written(untried, "a.jpg", b"other")
            await untried.move("a.jpg", "b.jpg", etag=stored.etag)
            await untried.delete("b.jpg", etag=stored.etag)
            assert (await untried.folder("")).files == ()
            assert untried.habits.risks == ()
