"""What the store has is not read again: not of an older version, nor of another flight of the same owner."""

from __future__ import annotations

from hashlib import sha256

import pytest

from shared.platform import Platform
from tests.ingest.scripted import Copying, ScriptedSource, jpeg


@pytest.fixture
def copying(platform: Platform) -> Copying:
    return Copying(platform, ScriptedSource({f"{number}.jpg": jpeg(str(number)) for number in range(30)}))


async def test_a_grown_flight_costs_its_new_files_only(copying: Copying) -> None:
    await copying.run("1")
    copying.source.opened.clear()
    copying.source.files |= {"new.jpg": jpeg("new"), "newer.jpg": jpeg("newer")}
    staged = await copying.run("2")
    amounts = copying.tally.amounts

    assert copying.source.opened == {"new.jpg": 1, "newer.jpg": 1}
    assert await copying.contents(staged) == copying.source.files
    assert (amounts.read_bytes, amounts.read_bytes + amounts.reused_bytes) == (
        len(jpeg("new")) + len(jpeg("newer")),
        amounts.bytes_total,
    )


async def test_a_version_keeps_its_files_when_an_older_one_goes(copying: Copying) -> None:
    await copying.run("1")
    staged = await copying.run("2")
    async for old in copying.on.objects.list("staging/f/1/"):
        await copying.on.objects.delete(old.key)

    assert await copying.contents(staged) == copying.source.files


async def test_a_file_that_was_replaced_is_read(copying: Copying) -> None:
    await copying.run("1")
    copying.source.opened.clear()
    copying.source.files["3.jpg"] = jpeg("x")
    copying.source.tokens["3.jpg"] = "2"
    staged = await copying.run("2")

    assert copying.source.opened == {"3.jpg": 1}
    assert (await copying.contents(staged))["3.jpg"] == jpeg("x")


async def test_bad_files_and_twins_of_an_older_version_are_not_read_again(copying: Copying) -> None:
    copying.source.files |= {"bad.jpg": b"hello", "cut.jpg": jpeg("c")[:-2], "twin.jpg": jpeg("1")}
    first = await copying.run("1")
    copying.source.opened.clear()
    second = await copying.run("2")

    assert copying.source.opened == {}
    assert await copying.left_out(first) == await copying.left_out(second)


async def test_what_retention_took_away_is_read_again(copying: Copying) -> None:
    await copying.run("1")
    await copying.on.objects.delete("staging/f/1/files/5.jpg")
    copying.source.opened.clear()
    staged = await copying.run("2")

    assert copying.source.opened == {"5.jpg": 1}
    assert await copying.contents(staged) == copying.source.files


async def test_a_twin_whose_original_changed_becomes_an_image(copying: Copying) -> None:
    copying.source.files["twin.jpg"] = jpeg("1")
    await copying.run("1")
    copying.source.files["1.jpg"], copying.source.tokens["1.jpg"] = jpeg("other"), "2"
    for version in ("1", "2"):
        staged = await copying.run(version)
        assert await copying.contents(staged) == copying.source.files


@pytest.mark.parametrize(("owner", "opened"), [("ann@tacc", 0), ("bob@tacc", 30)])
async def test_content_is_shared_between_flights_of_one_owner_only(
    copying: Copying, owner: str, opened: int
) -> None:
    await copying.run("1", owner="ann@tacc")
    copying.source.opened.clear()
    copying.source.hashes = {
        name: sha256(content).hexdigest() for name, content in copying.source.files.items()
    }
    staged = await copying.run("1", flight_id="other", owner=owner)
    keys = {file.key for file in (await copying.manifest(staged)).images}

    assert copying.source.opened.total() == opened
    assert all(key.startswith("staging/other/1/files/") for key in keys)
    assert await copying.contents(staged) == copying.source.files


async def test_a_version_that_is_unchanged_costs_two_listings(copying: Copying) -> None:
    await copying.run("1")
    copying.source.opened.clear()
    copying.source.listings = 0
    await copying.run("1")

    assert (copying.source.opened.total(), copying.source.listings) == (0, 2)
