"""Uploads and archives on an S3 server instead of a folder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from odm_gateway.config import EngineKind, Settings
from odm_gateway.main import create_app
from odm_gateway.resources import SUBSCRIPTIONS
from shared.platform import open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from tests.support.archives import archive
from tests.support.gateway import GatewayClient
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.uploading import (
    BOUNDARY,
    commit,
    contents,
    form,
    images,
    init,
    part,
    raw,
    stored_keys,
    upload,
)


@pytest.fixture
async def gateway(tmp_path: Path, s3: S3Server) -> AsyncIterator[GatewayClient]:
    platform_settings = PlatformSettings(
        home=tmp_path,
        objects=f"s3://{s3.new_bucket()}/flightline",
        s3_endpoint=s3.endpoint_url,
        s3_region=REGION,
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
    )
    settings = Settings(port=0, engine=EngineKind.SIMULATE)
    async with (
        open_platform(platform_settings, SUBSCRIPTIONS) as platform,
        serving(create_app(settings, platform), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        yield GatewayClient(http, platform)


async def test_a_task_is_made_of_uploads(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    large = bytes(range(256)) * (20 << 12)  # 20 MiB: more than one part
    answers = await asyncio.gather(
        upload(gateway, uuid, "large.tif", content=large),
        *(upload(gateway, uuid, f"{n}.jpg") for n in range(5)),
    )
    assert answers == [{"success": True}] * 6
    assert await upload(gateway, uuid, "0.jpg") == {"success": True}
    assert await upload(gateway, uuid, "0.jpg", content=b"other") == {"success": True}
    answers = await asyncio.gather(*(commit(gateway, uuid) for _ in range(3)))
    assert {"uuid": uuid} in answers
    assert (await gateway.finished(uuid))["imagesCount"] == 7
    there = await contents(gateway, uuid)
    assert (there["large.tif"], there["0_.jpg"]) == (large, b"other")


async def test_a_task_is_made_in_one_request(gateway: GatewayClient) -> None:
    uuid = (await gateway.post("/task/new", files=images("a.jpg", "b.jpg")))["uuid"]
    assert await contents(gateway, uuid) == {"a.jpg": b"a.jpg", "b.jpg": b"b.jpg"}


async def test_a_half_file_is_not_stored(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    body = form(part("images", bytes(18 << 20), "half.jpg"))
    headers = [f"Content-Type: multipart/form-data; boundary={BOUNDARY}", f"Content-Length: {len(body)}"]
    assert await raw(gateway, f"/task/new/upload/{uuid}", headers, body[:-1000], is_cut=True) is None
    assert await stored_keys(gateway) == []


async def test_an_archive_is_unpacked_from_the_store(gateway: GatewayClient) -> None:
    await gateway.platform.objects.put("inbox/a.zip", archive({"x/1.jpg": b"1", "geo.txt": b"g"}))
    uri = gateway.platform.objects.uri("inbox/a.zip")
    assert uri.startswith("s3://")
    uuid = (await gateway.post("/task/new", json={"zipurl": uri}))["uuid"]
    assert (await gateway.finished(uuid))["imagesCount"] == 1
    assert await contents(gateway, uuid) == {"1.jpg": b"1", "geo.txt": b"g"}
