from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest.config import Settings
from ingest.main import create_app
from shared.platform import Platform
from shared.service.serving import serving
from tests.ingest.conftest import Ingest, found_outside


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(port=0)
    async with (
        serving(create_app(settings, platform), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as client,
    ):
        yield client


async def stage(platform: Platform, folder: Path, *versions: str) -> None:
    ingest = Ingest(platform)
    for version in versions:
        await ingest.tell(found_outside(folder, version=version))
        await ingest.staged()


async def get(http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_transfers_are_paged_newest_first(
    http: httpx.AsyncClient, platform: Platform, flight: Path
) -> None:
    await stage(platform, flight, "1", "2", "3")
    first = await get(http, "/api/transfers/?limit=2")
    second = await get(http, f"/api/transfers/?limit=2&after={first['cursor']}")

    assert [each["version"] for page in (first, second) for each in page["transfers"]] == ["3", "2", "1"]
    assert second["cursor"] is None


async def test_a_transfer_tells_how_far_it_is(
    http: httpx.AsyncClient, platform: Platform, flight: Path
) -> None:
    (flight / "bad.jpg").write_text("hello")
    await stage(platform, flight, "1")
    transfer = await get(http, "/api/transfers/outside.1")

    assert (transfer["state"], transfer["error"]) == ("staged", None)
    assert (transfer["files_done"], transfer["files_rejected"]) == (4, 1)


async def test_a_journal_is_filtered_by_what_became_of_files(
    http: httpx.AsyncClient, platform: Platform, flight: Path
) -> None:
    (flight / "bad.jpg").write_text("hello")
    await stage(platform, flight, "1")
    rejected = (await get(http, "/api/transfers/outside.1/files?state=rejected"))["files"]

    assert [(line["path"], line["reason"][:10]) for line in rejected] == [("bad.jpg", "not a JPEG")]
    assert len((await get(http, "/api/transfers/outside.1/files"))["files"]) == 4


@pytest.mark.parametrize("path", ["/api/transfers/nobody", "/api/transfers/nobody/files"])
async def test_an_unknown_transfer_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["", "outside.1", "outside.1/files"])
async def test_everybodys_transfers_are_shown_to_whoever_has_the_token_only(
    platform: Platform, flight: Path, path: str
) -> None:
    settings = Settings(port=0, token=SecretStr("operators-only"))
    async with (
        serving(create_app(settings, platform), settings) as url,
        httpx.AsyncClient(base_url=f"{url}/api/transfers/", timeout=20) as http,
    ):
        await stage(platform, flight, "1")
        given = {name: {"Authorization": f"Bearer {name}"} for name in ("operators-only", "another")}
        answers = [await http.get(path, headers=headers) for headers in ({}, *given.values())]

    assert [answer.status_code for answer in answers] == [401, 200, 401]
    assert "outside" in answers[1].text or answers[1].json()["files"]
    assert "outside" not in answers[0].text + answers[2].text
