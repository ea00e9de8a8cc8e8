"""The simulated archive behaves as the real one is known to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from flightline.archive_simulator import ArchiveSimulator, serving_archive


@pytest.fixture
async def archive() -> AsyncIterator[ArchiveSimulator]:
    archive = ArchiveSimulator(users={"token": frozenset({"ours"})})
    for number in range(5):
        archive.add(f"public{number}", b"content")
    archive.add("ours", b"secret", proposal="ours")
    async with serving_archive(archive):
        yield archive


async def test_pages_lead_through_all_that_one_may_see(archive: ArchiveSimulator) -> None:
    seen, url = [], f"{archive.url}/frames/?limit=2"
    async with aiohttp.ClientSession(headers={"Authorization": "Token token"}) as session:
        while url:
            async with session.get(url) as answer:
                page = await answer.json()
            assert page["count"] == 6
            seen += [frame["basename"] for frame in page["results"]]
            url = page["next"]

    assert seen == ["ours", *(f"public{number}" for number in reversed(range(5)))]


async def test_frames_of_others_are_not_there(archive: ArchiveSimulator) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{archive.url}/frames/?basename_exact=ours") as answer:
            assert (await answer.json())["results"] == []
        async with session.get(f"{archive.url}/frames/{archive.frames['ours'].id}/") as answer:
            assert answer.status == 404
        headers = {"Authorization": "Token unknown"}
        async with session.get(f"{archive.url}/frames/", headers=headers) as answer:
            assert answer.status == 401


async def test_links_open_files_until_they_lapse(archive: ArchiveSimulator) -> None:
    good = archive.link(archive.frames["ours"])
    archive.links_count_for_s = -1.0
    lapsed = archive.link(archive.frames["ours"])
    async with aiohttp.ClientSession() as session:
        async with session.get(good) as answer:
            assert await answer.read() == b"secret"
        for url in (lapsed, good.replace("signature=", "signature=0")):
            async with session.get(url) as answer:
                assert answer.status == 403


async def test_a_cut_file_ends_before_its_length(archive: ArchiveSimulator) -> None:
    archive.fail("cut", path="/files/")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(archive.link(archive.frames["ours"])) as answer:
                await answer.read()


async def test_frames_are_found_by_what_is_said_of_them() -> None:
    archive = ArchiveSimulator()
    archive.add(
        "early", b"1", observation_date="2024-03-01T04:00:00Z", target_name="M 67", instrument_id="fa00"
    )
    archive.add("late", b"2", observation_date="2024-03-02T04:00:00Z", primary_optical_element="gp")
    asked = {
        "target_name=m%2067": ["early"],
        "instrument_id=fa00": ["early"],
        "primary_optical_element=gp": ["late"],
        "start=2024-03-02": ["late"],
        "end=2024-03-02&limit=-1": ["early"],
        "basename=l": ["late", "early"],
    }
    async with serving_archive(archive), aiohttp.ClientSession() as session:
        for query, wanted in asked.items():
            async with session.get(f"{archive.url}/frames/?{query}") as answer:
                assert [frame["basename"] for frame in (await answer.json())["results"]] == wanted, query
        async with session.get(f"{archive.url}/frames/?start=never") as answer:
            assert answer.status == 400


async def test_the_portal_gives_a_token_and_knows_whose_it_is(archive: ArchiveSimulator) -> None:
    archive.passwords["demo"] = ("password", "token")
    portal = f"{archive.url}/portal/api"
    async with aiohttp.ClientSession() as session:
        for password, status in (("wrong", 400), ("password", 200)):
            form = {"username": "demo", "password": password}
            async with session.post(f"{portal}/api-token-auth/", data=form) as answer:
                assert answer.status == status
                told = await answer.json()
        headers = {"Authorization": f"Token {told['token']}"}
        async with session.get(f"{portal}/profile/", headers=headers) as answer:
            profile = await answer.json()
        async with session.get(f"{portal}/profile/") as answer:
            assert answer.status == 401

    assert (profile["username"], profile["tokens"]) == ("demo", {"api_token": "token"})
    assert [one["id"] for one in profile["proposals"]] == ["ours"]
