"""Tags, hashes and habits of a Nextcloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.dav import Dav, RefusedError, Tag, open_dav
from shared.errors import InvalidInputError
from tests.shared.dav.contents import IMAGE, sha256, written
from tests.support.dav_servers import USER, RunningDav, running_dav


async def test_its_habits_are_found_by_trying(nextcloud_dav: Dav) -> None:
    habits = nextcloud_dav.habits

    assert (habits.hashes_content, habits.has_tags, habits.writes_whole, habits.moves_any_name) == (True,) * 4


async def test_a_new_file_takes_three_requests_more_than_looking_whether_it_is_there(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator is not None
    nextcloud.simulator.calls.clear()

    await nextcloud_dav.write_new(
        "a.jpg", IMAGE, sha256=sha256(IMAGE), modified_at=datetime(2020, 1, 2, tzinfo=UTC)
    )

    assert dict(nextcloud.simulator.calls) == {"PROPFIND": 2, "PUT": 1, "PATCH": 1}


async def test_where_it_hashes_nothing_what_it_sends_back_is_hashed(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator is not None
    nextcloud.simulator.checks_content = False

    stored = await written(nextcloud_dav, "a.jpg")

    assert await nextcloud_dav.stored_sha256("a.jpg", etag=stored.etag) == sha256(IMAGE)
    assert not (await nextcloud_dav.probe("")).hashes_content
    assert (await written(nextcloud_dav, "b.jpg")).size_bytes == len(IMAGE)


async def test_a_checksum_that_a_client_claims_proves_nothing(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    """Nextcloud stores ``OC-Checksum`` as it is told, and never checks it."""
    verbs = nextcloud_dav._verbs
    await verbs.put("a.jpg", IMAGE, {"OC-Checksum": f"SHA256:{'0' * 64}"})

    claimed = (await nextcloud_dav.look("a.jpg")).sha256
    stored = await nextcloud_dav.stored_sha256("a.jpg")

    assert (claimed, stored) == ("0" * 64, sha256(IMAGE))
    assert nextcloud.stored.get("a.jpg") == IMAGE


async def test_one_request_tells_all_files_of_a_folder_with_their_tags(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator is not None
    for number in range(20):
        nextcloud.stored.put(f"unsorted/{number:02}.jpg", b"x")
        nextcloud.stored.tag(f"unsorted/{number:02}.jpg", "ai:cats", " odd & <name> ")
    nextcloud.simulator.calls.clear()

    folder = await nextcloud_dav.folder("unsorted", tags=True)

    assert {tuple(tag.name for tag in file.tags) for file in folder.files} == {(" odd & <name> ", "ai:cats")}
    assert len({file.file_id for file in folder.files}) == 20
    assert dict(nextcloud.simulator.calls) == {"PROPFIND": 1}


async def test_a_move_keeps_id_etag_and_tags(nextcloud_dav: Dav, nextcloud: RunningDav) -> None:
    nextcloud.stored.put("a.jpg", b"x")
    nextcloud.stored.tag("a.jpg", "ai:cats")
    before = await nextcloud_dav.look("a.jpg", tags=True)

    await nextcloud_dav.move("a.jpg", "b?;#%41.jpg", etag=before.etag)

    after = await nextcloud_dav.look("b?;#%41.jpg", tags=True)
    assert (after.file_id, after.etag, after.tags) == (before.file_id, before.etag, before.tags)


async def test_a_tag_is_taken_off_and_it_does_not_matter_if_it_was_off(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    nextcloud.stored.put("a.jpg", b"x")
    nextcloud.stored.tag("a.jpg", "ai:cats", "holiday")
    file = await nextcloud_dav.look("a.jpg", tags=True)
    (cats,) = [tag for tag in file.tags if tag.name == "ai:cats"]
    assert file.file_id is not None

    await nextcloud_dav.untag(file.file_id, cats.id)
    await nextcloud_dav.untag(file.file_id, cats.id)

    assert nextcloud.stored.tags_of("a.jpg") == {"holiday"}


async def test_a_tag_that_may_not_be_taken_off_is_told_before_and_stays(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator is not None
    nextcloud.stored.put("a.jpg", b"x")
    nextcloud.simulator.new_tag("ai:locked", is_assignable=False)
    nextcloud.stored.tag("a.jpg", "ai:locked")

    file = await nextcloud_dav.look("a.jpg", tags=True)

    assert [(tag.name, tag.can_assign) for tag in file.tags] == [("ai:locked", False)]
    with pytest.raises(RefusedError):
        await nextcloud_dav.untag(file.file_id or 0, file.tags[0].id)


async def test_all_tags_are_told_also_those_that_share_a_name(
    nextcloud_dav: Dav, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator is not None
    made = [
        nextcloud.simulator.new_tag("ai:cats"),
        nextcloud.simulator.new_tag("AI:Cats"),
        nextcloud.simulator.new_tag("ai:cats", is_assignable=False),
    ]

    tags = await nextcloud_dav.tags()

    assert set(tags) >= {Tag(tag.id, tag.name, tag.is_assignable) for tag in made}


async def test_files_with_a_tag_are_found_below_the_place_and_nowhere_else(nextcloud: RunningDav) -> None:
    for path in ("data/a.jpg", "data/sorted/ü #1.jpg", "data/sorted/none.jpg", "elsewhere/b.jpg"):
        nextcloud.stored.put(path, b"x")
    for path in ("data/a.jpg", "data/sorted/ü #1.jpg", "elsewhere/b.jpg"):
        nextcloud.stored.tag(path, "ai:cats")
    place = replace(nextcloud.place, url=f"{nextcloud.place.url}data/")

    async with open_dav(place) as dav:
        (cats,) = [tag for tag in await dav.tags() if tag.name == "ai:cats"]
        found = await dav.tagged(cats.id)
        none = await dav.tagged(999_999)

    assert [file.path for file in found] == ["a.jpg", "sorted/ü #1.jpg"]
    assert [tag.name for file in found for tag in file.tags] == ["ai:cats"] * 2
    assert none == ()


async def test_the_old_address_works_too_with_tags(nextcloud: RunningDav) -> None:
    nextcloud.stored.put("user_folder/unsorted/a.jpg", b"x")
    nextcloud.stored.tag("user_folder/unsorted/a.jpg", "ai:cats")
    url = nextcloud.place.url.replace(f"/dav/files/{USER}/", "/webdav/user_folder/")
    place = replace(nextcloud.place, url=url, host_url="")

    async with open_dav(place) as dav:
        await dav.probe("unsorted")
        (file,) = (await dav.folder("unsorted", tags=True)).files
        stored = await written(dav, "unsorted/b.jpg")
        found = await dav.tagged(file.tags[0].id)

    assert (file.path, [tag.name for tag in file.tags]) == ("unsorted/a.jpg", ["ai:cats"])
    assert [one.path for one in found] == ["unsorted/a.jpg"]
    assert stored.size_bytes == len(IMAGE)


async def test_what_is_no_nextcloud_has_no_tags_and_says_what_to_set() -> None:
    with running_dav("wsgidav") as server:
        async with open_dav(server.place) as dav:
            habits = await dav.probe("")
            server.stored.put("a.jpg", b"x")
            assert (await dav.look("a.jpg", tags=True)).tags == ()
            with pytest.raises(InvalidInputError, match="host_url"):
                await dav.tags()

    assert not habits.has_tags


async def test_a_session_is_kept_by_its_cookie(nextcloud: RunningDav) -> None:
    async with open_dav(nextcloud.place) as dav:
        await dav.folder("")
        kept = [cookie.key for cookie in dav._verbs.at.session.cookie_jar]

    assert kept
