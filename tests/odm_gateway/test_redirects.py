"""Downloads that clients are sent to the object store for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests

from odm_gateway.config import Downloads, EngineKind, Settings
from odm_gateway.main import create_app
from odm_gateway.resources import SUBSCRIPTIONS
from shared.platform import open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from tests.support.gateway import GatewayClient, running_gateway
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@asynccontextmanager
async def on_s3(home: Path, s3: S3Server, downloads: Downloads) -> AsyncIterator[GatewayClient]:
    platform_settings = PlatformSettings(
        home=home,
        objects=f"s3://{s3.new_bucket()}/flightline",
        s3_endpoint=s3.endpoint_url,
        s3_region=REGION,
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
    )
    settings = Settings(port=0, engine=EngineKind.SIMULATE, downloads=downloads)
    async with (
        open_platform(platform_settings, SUBSCRIPTIONS) as platform,
        serving(create_app(settings, platform), settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        yield GatewayClient(http, platform)


@pytest.fixture
async def gateway(tmp_path: Path, s3: S3Server) -> AsyncIterator[GatewayClient]:
    async with on_s3(tmp_path, s3, Downloads.REDIRECT) as client:
        yield client


def signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]


async def archive_of(gateway: GatewayClient) -> tuple[str, bytes]:
    """Return the path of a finished task's archive, and its content as the store has it."""
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    return f"/task/{uuid}/download/all.zip", await gateway.platform.objects.read(f"products/{uuid}/all.zip")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_asset_is_a_302_to_a_url_of_the_store_for_an_hour(
    gateway: GatewayClient, s3: S3Server, method: str
) -> None:
    path, content = await archive_of(gateway)
    answer = await gateway.http.request(method, path)
    assert (answer.status_code, answer.content) == (302, b"")
    assert (answer.headers["cache-control"], answer.headers["access-control-allow-origin"]) == (
        "no-store",
        "*",
    )
    location = answer.headers["location"]
    query = parse_qs(urlsplit(location).query)
    assert location.startswith(f"{s3.endpoint_url}/")
    assert query["X-Amz-Expires"] == ["3600"]
    assert query["response-content-disposition"] == ["attachment; filename=all.zip"]
    assert query["response-content-type"] == ["application/zip"]
    assert SECRET_KEY.get_secret_value() not in location
    followed = await gateway.http.request(method, location)
    assert (followed.status_code, followed.content) == (200, content if method == "GET" else b"")
    assert followed.headers["content-length"] == str(len(content))


async def test_a_url_counts_for_the_method_that_asked(gateway: GatewayClient) -> None:
    path, _ = await archive_of(gateway)
    signatures = {
        signature((await gateway.http.request(method, path)).headers["location"])
        for method in ("GET", "HEAD")
    }
    assert len(signatures) == 2


async def test_clients_like_pyodm_follow_and_keep_their_range(gateway: GatewayClient) -> None:
    path, content = await archive_of(gateway)
    url = f"{str(gateway.http.base_url).rstrip('/')}{path}"
    whole = await asyncio.to_thread(lambda: requests.get(url, timeout=30))
    part = await asyncio.to_thread(lambda: requests.get(url, headers={"Range": "bytes=10-29"}, timeout=30))
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-disposition"] == "attachment; filename=all.zip"
    assert whole.headers["content-type"] == "application/zip"
    assert (part.status_code, part.content) == (206, content[10:30])


async def test_what_is_not_there_is_no_redirect(gateway: GatewayClient) -> None:
    path, _ = await archive_of(gateway)
    folder = path.removesuffix("/all.zip")
    assert await gateway.get(f"{folder}/nope.bin") == {"error": "Invalid asset"}
    assert await gateway.get(f"{folder}/dsm.tif") == {"error": "Asset not ready"}
    assert await gateway.get("/task/nobody/download/all.zip") == {"error": "nobody not found"}


async def test_a_store_without_urls_is_read_through_the_gateway(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, downloads=Downloads.REDIRECT) as gateway:
        path, content = await archive_of(gateway)
        answer = await gateway.http.get(path)
        assert (answer.status_code, answer.content) == (200, content)


async def test_unless_told_otherwise_the_gateway_sends_products_itself(tmp_path: Path, s3: S3Server) -> None:
    async with on_s3(tmp_path, s3, Settings(port=0).downloads) as gateway:
        path, content = await archive_of(gateway)
        answer = await gateway.http.get(path)
        assert (answer.status_code, answer.content) == (200, content)


async def test_where_the_products_lie_stands_in_the_info_without_any_secret(gateway: GatewayClient) -> None:
    path, _ = await archive_of(gateway)
    uuid = path.split("/")[2]
    outputs = (await gateway.get(f"/task/{uuid}/info"))["outputs"]
    assert outputs == gateway.platform.objects.uri(f"products/{uuid}")
    parts = urlsplit(outputs)
    assert (parts.scheme, parts.username, parts.password, parts.query) == ("s3", None, None, "")
    assert ACCESS_KEY not in outputs
