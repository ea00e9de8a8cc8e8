"""A bucket that is full: uploads and archives say so, and go on once there is room."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from odm_gateway.adapters.intake import Intake
from odm_gateway.adapters.room import FULL
from odm_gateway.config import EngineKind, Settings
from odm_gateway.domain.tasks import Source
from odm_gateway.main import create_app
from odm_gateway.resources import SUBSCRIPTIONS
from shared.errors import StorageFullError
from shared.platform import open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from tests.support.archives import archive
from tests.support.gateway import GatewayClient
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.uploading import commit, contents, images, init, stored_keys, upload
from tests.support.web_archives import said_nothing, sending, task_of
from tests.support.web_archives import serving as web_serving

FULL_ANSWER = b"<Error><Code>XMinioStorageFull</Code><Message>full</Message></Error>"


class Bucket:
    """An S3 server behind a door that lets nothing more in when it is full."""

    def __init__(self, s3: S3Server) -> None:
        self.is_full = False
        self._s3 = s3

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Refuse writes, or pass the request on as it is."""
        body = await request.read()
        if self.is_full and request.method in ("PUT", "POST"):
            return web.Response(status=507, body=FULL_ANSWER, content_type="application/xml")
        url = f"{self._s3.endpoint_url}{request.raw_path}"
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(request.method, url, data=body, headers=request.headers) as answer,
        ):
            kept = ("etag", "content-type", "last-modified", "date")
            headers = {name: value for name, value in answer.headers.items()
                       if name.lower() in kept or name.lower().startswith("x-amz")}  # fmt: skip
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return Bucket(s3)


@pytest.fixture
async def gateway(tmp_path: Path, s3: S3Server, bucket: Bucket) -> AsyncIterator[GatewayClient]:
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", bucket.answer)
    settings = Settings(port=0, engine=EngineKind.SIMULATE)
    async with TestServer(application) as door:
        platform_settings = PlatformSettings(
            home=tmp_path,
            objects=f"s3://{s3.new_bucket()}/flightline",
            s3_endpoint=str(door.make_url("")),
            s3_region=REGION,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        async with (
            open_platform(platform_settings, SUBSCRIPTIONS) as platform,
            serving(create_app(settings, platform), settings) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as http,
        ):
            yield GatewayClient(http, platform)


async def test_uploads_say_that_it_is_full_and_go_on_when_it_is_not(
    gateway: GatewayClient, bucket: Bucket
) -> None:
    uuid = await init(gateway)
    assert await upload(gateway, uuid, "a.jpg") == {"success": True}
    bucket.is_full = True
    large = bytes(20 << 20)  # more than one part
    assert await upload(gateway, uuid, "b.jpg") == {"error": FULL}
    assert await upload(gateway, uuid, "large.tif", content=large) == {"error": FULL}
    assert await gateway.post("/task/new", files=images("c.jpg")) == {"error": FULL}
    answer = await gateway.http.post(f"/task/new/commit/{uuid}")
    assert answer.status_code == 503  # clients try it again
    bucket.is_full = False
    assert await commit(gateway, uuid) == {"uuid": uuid}
    assert set(await contents(gateway, uuid)) == {"a.jpg"}
    assert len(await stored_keys(gateway)) == 2


async def test_an_archive_says_that_it_is_full_and_leaves_nothing(
    gateway: GatewayClient, bucket: Bucket, tmp_path: Path
) -> None:
    objects = gateway.platform.objects
    async with web_serving(sending(archive({"1.jpg": b"1", "2.jpg": bytes(1 << 20)}))) as url:
        task = task_of(Source(uri=url))
        intake = Intake(objects, tmp_path / "work", allow_private_urls=True)
        bucket.is_full = True
        with pytest.raises(StorageFullError, match=FULL):
            await intake.take(task, said_nothing)
        assert await stored_keys(gateway) == []
        bucket.is_full = False
        async with asyncio.timeout(60):
            assert (await intake.take(task, said_nothing)).image_count == 2
