"""WebDAV mode as HTTP clients see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from scaler.main import create_app
from scaler.resources import SUBSCRIPTIONS
from shared.platform import open_platform
from shared.service.serving import serving
from tests.scaler.pictures import jpeg
from tests.scaler.webdav.conftest import RAW, UNSORTED, raw, scaled, scaler_settings, webdav_settings
from tests.support.dav_servers import RunningDav

TOKEN = "a token of the service"


@pytest.fixture
async def http(nextcloud: RunningDav, home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service on a Nextcloud with a good image and a bad one."""
    nextcloud.stored.put(f"{RAW}/Unknown good.jpg", jpeg(1))
    nextcloud.stored.put(f"{RAW}/Unknown bad.jpg", jpeg(2)[:-100])
    settings = scaler_settings(token=SecretStr(TOKEN))
    async with (
        open_platform(webdav_settings(nextcloud.place, home), SUBSCRIPTIONS) as on,
        serving(create_app(settings, on), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=20, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        yield client


async def get(http: httpx.AsyncClient, path: str, until: Callable[[Any], bool] = bool) -> Any:
    """Ask until the answer is as wanted."""
    async with asyncio.timeout(30):
        while True:
            answer = await http.get(path)
            assert answer.status_code == 200, answer.text
            if until(answer.json()):
                return answer.json()
            await asyncio.sleep(0.05)


async def test_it_tells_whoever_has_the_token_where_it_looks_and_what_became_of_images(
    http: httpx.AsyncClient, nextcloud: RunningDav
) -> None:
    ended = {"waiting": 0, "done": 1, "rejected": 1}
    seen = await get(http, "/api/webdav/", lambda seen: ended.items() <= seen.items())
    images = (await get(http, "/api/webdav/images/?state=done"))["images"]

    assert (seen["state"], seen["trouble"], seen["failing"]) == ("on", None, 0)
    assert (seen["raw"], seen["unsorted"]) == (f"{nextcloud.place.url}{RAW}", UNSORTED)
    assert seen["prefixes"] == ["Unknown"]
    assert seen["server"]["hashes_content"]
    assert seen["server"]["risks"] == []
    assert nextcloud.place.password.get_secret_value() not in str(seen)
    assert [image["target"] for image in images] == [f"{UNSORTED}/{name}" for name in scaled(nextcloud)]
    await all_is_counted(http)
    await all_takes_the_token(http)


async def all_is_counted(http: httpx.AsyncClient) -> None:
    metrics = (await http.get("/metrics")).text

    for name in (
        'flightline_scaler_images_total{mode="webdav",outcome="scaled"}',
        'flightline_scaler_images_total{mode="webdav",outcome="rejected"}',
        'flightline_scaler_bytes_total{direction="written"}',
        'flightline_scaler_image_seconds_count{mode="webdav"}',
    ):
        assert name in metrics


async def all_takes_the_token(http: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/api/webdav/"),
        ("GET", "/api/rejected/"),
        ("POST", "/api/webdav/pause"),
        ("POST", "/api/rejected/x/retry"),
    ):
        assert (await http.request(method, path, headers={"Authorization": ""})).status_code == 401


async def test_rejected_images_are_listed_with_the_reason_and_tried_again_when_asked(
    http: httpx.AsyncClient, nextcloud: RunningDav
) -> None:
    (image,) = (await get(http, "/api/rejected/", lambda seen: seen["images"]))["images"]
    again = await http.post(f"/api/rejected/{image['id']}/retry")
    back = await get(http, "/api/rejected/", lambda seen: seen["images"])
    done = (await get(http, "/api/webdav/images/?state=done", lambda seen: seen["images"]))["images"][0]

    assert (image["path"], image["rejected_as"]) == (f"{RAW}/Unknown bad.jpg", "truncated")
    assert image["error"]
    assert again.json()["state"] == "waiting"
    assert [one["id"] for one in back["images"]] == [image["id"]]
    assert raw(nextcloud) == {"Unknown bad.jpg"}
    assert (await http.post(f"/api/rejected/{done['id']}/retry")).status_code == 409
    assert (await http.post("/api/rejected/no-such/retry")).status_code == 404


async def test_paused_it_says_so_and_resumed_it_goes_on(
    http: httpx.AsyncClient, nextcloud: RunningDav
) -> None:
    paused = (await http.post("/api/webdav/pause")).json()
    again = (await http.post("/api/webdav/pause")).json()
    nextcloud.stored.put(f"{RAW}/Unknown later.jpg", jpeg(3))
    await asyncio.sleep(0.5)
    assert "Unknown later.jpg" in raw(nextcloud)
    resumed = (await http.post("/api/webdav/resume")).json()
    await get(http, "/api/webdav/", lambda seen: seen["done"] == 2)

    assert [one["state"] for one in (paused, again, resumed)] == ["paused", "paused", "on"]
