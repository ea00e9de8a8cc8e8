"""Whatever Tapis does wrong: all images are staged as they are there, or nothing is, with a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from ingest.domain.transfers import TransferState
from shared.events import Event, ImagesStaged
from tests.ingest.conftest import LADDER, Ingest, opened, running_ingest
from tests.ingest.test_steering import SYSTEM, ask, reading
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from tests.support.tapis import USER, TapisServer, tapis_server

IMAGES = 12
PASSING: list[dict[str, Any]] = [
    {"kind": "status", "status": 429, "retry_after_s": 0.2, "times": 5},
    {"kind": "status", "status": 503, "times": 5},
    {"kind": "status", "status": 500, "times": 5},
    {"kind": "status", "status": 401, "times": 1},
    {"kind": "delay", "seconds": 0.3, "times": 5},
    {"kind": "hang", "seconds": 0.3, "times": 2},
    {"kind": "drip", "bytes_per_s": 500_000, "times": 2},
    {"kind": "reset", "times": 5},
    {"kind": "cut", "at_bytes": 60_000, "times": 5},
    {"kind": "eof", "at_bytes": 60_000, "times": 5},
    {"kind": "wrong_size", "bytes": -7, "times": 3},
    {"kind": "wrong_size", "bytes": 7, "times": 3},
    {"kind": "replace", "times": 2},
    {"kind": "expire_tokens", "times": 1, "after": 5},
]
LISTING: list[dict[str, Any]] = [
    {"kind": "appear", "times": 1, "after": 2},
    {"kind": "disappear", "times": 1, "after": 2},
    {"kind": "grow", "times": 2, "files": 2},
    {"kind": "duplicate", "times": 2, "files": 3},
    {"kind": "malformed", "times": 2},
    {"kind": "status", "status": 503, "times": 3},
    {"kind": "expire_tokens", "times": 1},
]


def named(fault: dict[str, Any]) -> str:
    return "-".join(str(value) for value in fault.values())


@pytest.fixture
async def tapis() -> AsyncIterator[TapisServer]:
    async with tapis_server() as server:
        server.flight(SYSTEM, images=IMAGES, size_bytes=200_000)
        yield server


@asynccontextmanager
async def ingesting(tapis: TapisServer, home: Path, **settings: Any) -> AsyncIterator[Ingest]:
    place = {"retry_ladder": LADDER * 4, **reading(tapis), **settings}
    async with opened(home, **place) as on, running_ingest(on) as ingest:
        yield ingest


async def there(tapis: TapisServer) -> dict[str, bytes]:
    """Return what the flight's files are now."""
    tapis.tapis.faults.clear()
    files = {}
    async with tapis.http() as http:
        for entry in tapis.tapis.systems[SYSTEM].files.walk():
            async with http.get(tapis.content_url(SYSTEM, entry.path)) as answer:
                files[entry.path.removeprefix("Flight1/")] = await answer.read()
    return files


async def staged_files(ingest: Ingest, event: Event[ImagesStaged]) -> dict[str, bytes]:
    manifest = await ingest.manifest(event)
    assert manifest.rejected == ()
    return {file.path: await ingest.platform.objects.read(file.key) for file in manifest.images}


@pytest.mark.parametrize("fault", PASSING, ids=named)
async def test_what_goes_wrong_with_a_file_costs_only_time(
    tapis: TapisServer, tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with ingesting(tapis, tmp_path / "home") as ingest:
        tapis.tapis.faults.switch_on(**fault, operation="getContents")
        await ingest.tell(ask())
        event = await ingest.staged()
        files = await staged_files(ingest, event)
        transfers = (await ingest.transfers.find({})).items

    assert files == await there(tapis)
    assert [transfer.body.state for transfer in transfers] == [TransferState.STAGED]


async def test_what_goes_wrong_on_the_way_to_a_bucket_costs_only_time(
    tapis: TapisServer, tmp_path: Path, s3: S3Server
) -> None:
    bucket = {
        "objects": f"s3://{s3.new_bucket()}",
        "s3_endpoint": s3.endpoint_url,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    }
    async with ingesting(tapis, tmp_path / "home", **bucket) as ingest:
        for number, fault in enumerate(PASSING):
            tapis.tapis.faults.switch_on(**{**fault, "times": 1, "after": number}, operation="getContents")
        await ingest.tell(ask())
        event = await ingest.staged()
        files = await staged_files(ingest, event)

    assert files == await there(tapis)


@pytest.mark.parametrize("fault", LISTING, ids=named)
async def test_what_goes_wrong_with_a_listing_costs_only_time(
    tapis: TapisServer, tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with ingesting(tapis, tmp_path / "home") as ingest:
        tapis.tapis.faults.switch_on(**fault, operation="listFiles", path="images$")
        await ingest.tell(ask())
        event = await ingest.staged()
        files = await staged_files(ingest, event)

    assert files == await there(tapis)


async def test_a_token_that_ends_in_the_middle_is_renewed_once(tapis: TapisServer, tmp_path: Path) -> None:
    async with ingesting(tapis, tmp_path / "home") as ingest:
        tapis.tapis.faults.switch_on("expire_tokens", operation="getContents", after=4)
        await ingest.tell(ask())
        await ingest.staged()
        lines = [line.body for line in (await ingest.journal.find({})).items]

    assert tapis.tapis.calls.count("create_token") <= 2
    assert {line.attempts for line in lines} == {0}


async def test_a_file_that_came_as_something_else_is_left_out_with_a_reason(
    tapis: TapisServer, tmp_path: Path
) -> None:
    async with ingesting(tapis, tmp_path / "home") as ingest:
        tapis.tapis.faults.switch_on("wrong_content", operation="getContents", path="00003")
        await ingest.tell(ask())
        manifest = await ingest.manifest(await ingest.staged())

    assert [(file.path[-9:], file.reason[:10]) for file in manifest.rejected] == [("00003.JPG", "not a JPEG")]
    assert len(manifest.images) == IMAGES - 1


async def test_a_system_without_credentials_is_told(tapis: TapisServer, tmp_path: Path) -> None:
    tapis.tapis.systems[SYSTEM].with_credentials = frozenset({"somebody-else"})
    async with ingesting(tapis, tmp_path / "home", retry_ladder=LADDER[:1]) as ingest:
        await ingest.tell(ask())
        broken = await ingest.transfer(where="failed", within_s=60)

    assert SYSTEM in str(broken.error)
    assert "internal error" not in str(broken.error)


async def test_a_busy_system_is_asked_for_less_at_a_time(tapis: TapisServer, tmp_path: Path) -> None:
    system = tapis.tapis.systems[SYSTEM]
    system.max_sessions, system.latency_s = 2, 0.05
    async with ingesting(tapis, tmp_path / "home", retry_ladder=LADDER * 10) as ingest:
        await ingest.tell(ask())
        event = await ingest.staged()
        files = await staged_files(ingest, event)

    assert files == await there(tapis)


@asynccontextmanager
async def discovery_with(answers: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Answer for discovery's tokens; the last answer stays."""

    async def token(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer between-us"
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        return web.json_response(answer, status=409 if "error" in answer else 200)

    app = web.Application()
    app.router.add_post("/internal/tapis-tokens", token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_login_that_is_revoked_in_the_middle_costs_no_file_twice(
    tapis: TapisServer, tmp_path: Path
) -> None:
    def token() -> dict[str, Any]:
        return {
            "access_token": tapis.tapis.issuer.access_token(USER),
            "expires_at": "2099-01-01T00:00:00+00:00",
        }

    answers = [token(), {"error": "tester has to log in again"}]
    async with discovery_with(answers) as url:
        place = {"discovery_url": url, "internal_token": SecretStr("between-us"), **reading(tapis)}
        async with (
            opened(tmp_path / "home", **place) as on,
            running_ingest(on, files_at_once=2, login_checked_every=timedelta(milliseconds=300)) as ingest,
        ):
            tapis.tapis.faults.switch_on("expire_tokens", operation="getContents", after=6)
            await ingest.tell(ask(owner=f"{USER}@portals"))
            await ingest.transfer(where="needs_login")
            before = {line.body.path for line in (await ingest.journal.find({})).items if line.body.is_done}
            answers[:] = [token()]
            files = await staged_files(ingest, await ingest.staged())
        read = tapis.tapis.calls.count("getContents")

    assert 0 < len(before) < IMAGES
    assert files == await there(tapis)
    assert read <= IMAGES + 3  # two were under way when the login ended


async def test_a_transfer_waits_for_its_user_to_log_in_and_goes_on_by_itself(
    tapis: TapisServer, tmp_path: Path
) -> None:
    sentence = "tester has to log in again at https://example.org/login"
    answers: list[dict[str, Any]] = [{"error": sentence}]
    async with discovery_with(answers) as url:
        place = {"discovery_url": url, "internal_token": SecretStr("between-us"), **reading(tapis)}
        async with (
            opened(tmp_path / "home", **place) as on,
            running_ingest(on, login_checked_every=timedelta(milliseconds=300)) as ingest,
        ):
            await ingest.tell(ask(owner=f"{USER}@portals"))
            waiting = await ingest.transfer(where="needs_login")
            await asyncio.sleep(1)
            still = await ingest.transfer(where="needs_login")
            answers[:] = [
                {
                    "access_token": tapis.tapis.issuer.access_token(USER),
                    "expires_at": "2099-01-01T00:00:00+00:00",
                }
            ]
            event = await ingest.staged()
            done = await ingest.transfer(where="staged")

    assert sentence in str(waiting.error)
    assert (still.attempt, done.error) == (0, None)
    assert event.data.image_count == IMAGES
