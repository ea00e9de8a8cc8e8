"""Files that clients name instead of sending them: prefixes, and archives in the store and on the web."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from odm_gateway.adapters.intake import Intake, read_manifest
from odm_gateway.domain.tasks import Source
from shared.errors import TransientError
from shared.platform import Platform
from tests.support.archives import archive, bomb, claiming, encrypted, linking, of_many_entries
from tests.support.dying import Doom, Dying, KilledError
from tests.support.gateway import GatewayClient, running_gateway, stage_images
from tests.support.uploading import contents, stored_keys
from tests.support.web_archives import (
    ended,
    said_nothing,
    sending,
    serving,
    stored_archive,
    task_of,
    web_gateway,
)

FLIGHT = {"DCIM/1.jpg": b"1", "DCIM/2.JPG": b"2", "gcp_list.txt": b"gcp", "seed.zip": b"seed"}


async def test_1_6_an_archive_on_the_web_is_unpacked_flat(tmp_path: Path) -> None:
    async with web_gateway(tmp_path, sending(archive(FLIGHT))) as (client, url):
        uuid, info = await ended(client, zipurl=url, name="web")
        assert (info["status"], info["imagesCount"]) == ({"code": 40}, 2)
        assert await contents(client, uuid) == {
            "1.jpg": b"1", "2.JPG": b"2", "gcp_list.txt": b"gcp", "seed.zip": b"seed",
        }  # fmt: skip
        output = await client.get(f"/task/{uuid}/output")
        assert any(line.startswith("Fetching archive: 0.0 of 0.0 MB") for line in output)
        assert "Unpacking archive: 4 of 4 files" in output


async def test_8_an_archive_in_the_store_is_unpacked(gateway: GatewayClient) -> None:
    uuid, info = await ended(gateway, zipurl=await stored_archive(gateway, archive(FLIGHT)))
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 2)
    assert "1.jpg" in await contents(gateway, uuid)


async def test_1_6_a_dead_url_fails_the_task_with_the_sockets_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip?signature=secret"
        async with running_gateway(tmp_path, allow_private_urls=True) as client:
            _, info = await ended(client, zipurl=url)
    assert info["status"]["code"] == 30
    assert "Connect call failed" in info["status"]["errorMessage"]
    assert "secret" not in json.dumps(info)


async def test_an_answer_that_is_no_archive_is_told(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    async with web_gateway(tmp_path, refuse) as (client, url):
        _, info = await ended(client, zipurl=url)
        assert info["status"]["errorMessage"] == f"{url} answers 404 Not Found"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.zip",
        "http://localhost:1/a.zip",
        "http://[::1]:1/a.zip",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/a",
    ],
)
async def test_private_addresses_are_refused(gateway: GatewayClient, url: str) -> None:
    _, info = await ended(gateway, zipurl=url)
    assert "is not a public address" in info["status"]["errorMessage"]


async def test_redirects_are_followed_up_to_a_number(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        left = int(request.query.get("left", "5"))
        if left > 0:
            raise web.HTTPFound(f"/again?left={left - 1}")
        return web.Response(body=archive(FLIGHT))

    async with web_gateway(tmp_path, answer) as (client, url):
        assert (await ended(client, zipurl=url))[1]["status"] == {"code": 40}
        _, info = await ended(client, zipurl=f"{url}?left=6")
        assert "more than 5 redirects" in info["status"]["errorMessage"]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://a/b", "http://"])
async def test_redirects_to_other_places_are_refused(tmp_path: Path, place: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": place})

    async with web_gateway(tmp_path, answer) as (client, url):
        _, info = await ended(client, zipurl=url)
        assert info["status"]["code"] == 30


async def test_a_transfer_that_breaks_is_tried_again(tmp_path: Path) -> None:
    asked = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        content = archive({"1.jpg": bytes(3 << 20)})
        if asked > 1:
            return web.Response(body=content)
        response = web.StreamResponse(headers={"Content-Length": str(len(content))})
        await response.prepare(request)
        await response.write(content[: 2 << 20])
        assert request.transport
        request.transport.abort()
        return response

    async with web_gateway(tmp_path, answer) as (client, url):
        answer_ = await client.post("/task/new", json={"zipurl": url})
        info = await client.finished(answer_["uuid"], within_s=60)
        output = "\n".join(await client.get(f"/task/{answer_['uuid']}/output"))
    assert (info["status"], asked) == ({"code": 40}, 2)
    assert "trying again in" in output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>no archive</html>", "no ZIP file"), (archive(FLIGHT)[:-30], "no ZIP file"),
        (b"", "no ZIP file"),
        (encrypted(FLIGHT), "encrypted"), (claiming(3 << 30), "no honest one"), (claiming(3000), "damaged"),
        (claiming(100), "damaged"),
        (bomb(3 << 30), "unpacks to more than"), (of_many_entries(100_001), "more than 100000 entries"),
        (archive({"a.jpg": b"12345"}).replace(b"12345", b"12349", 1), "damaged"), (archive({}), "no images"),
        (archive(FLIGHT, 8).replace(b"PK\x01\x02", b"PK\x01\x03"), "damaged"),
    ],
    ids=["html", "cut", "empty", "secret", "ratio", "more", "less", "bomb", "many", "crc", "none", "broken"],
)  # fmt: skip
async def test_bad_archives_fail_the_task_and_say_why(tmp_path: Path, content: bytes, words: str) -> None:
    async with running_gateway(tmp_path, max_archive_bytes=1 << 30) as client:
        uuid, info = await ended(client, zipurl=await stored_archive(client, content))
        assert info["status"]["code"] == 30
        assert words in info["status"]["errorMessage"]
        assert await stored_keys(client, f"uploads/{uuid}/archive") == []
    assert list((tmp_path / "work").rglob("*.zip")) == []


async def test_names_in_archives_stay_where_they_belong(gateway: GatewayClient) -> None:
    files = {
        "/etc/1.jpg": b"1", "../../2.jpg": b"2", "C:\\3.jpg": b"3", "a/4.jpg": b"4", "b/4.jpg": b"5",
        "b/5.jpg": b"6", "c/5.jpg": b"6", "__MACOSX/._1.jpg": b"x", ".hidden.jpg": b"x", "folder/": b"",
        "inner.zip": b"x", "a\tb.jpg": b"x", "x" * 300 + ".jpg": b"x",
    }  # fmt: skip
    uuid, info = await ended(gateway, zipurl=await stored_archive(gateway, archive(files)))
    assert await contents(gateway, uuid) == {
        "1.jpg": b"1", "2.jpg": b"2", "3.jpg": b"3", "4.jpg": b"4", "4_.jpg": b"5", "5.jpg": b"6",
    }  # fmt: skip
    output = "\n".join(await gateway.get(f"/task/{uuid}/output"))
    assert output.count("Left out of the archive") == 2
    assert info["imagesCount"] == 6


async def test_links_in_archives_are_left_alone(gateway: GatewayClient) -> None:
    uuid, _ = await ended(gateway, zipurl=await stored_archive(gateway, linking("link.jpg", "/etc/passwd")))
    assert await contents(gateway, uuid) == {"a.jpg": b"1"}


async def test_large_archives_are_refused_before_and_while_they_come(tmp_path: Path) -> None:
    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(bytes(100_000))
        return response

    async with web_gateway(tmp_path, chunked, max_archive_bytes=1_000_000) as (client, url):
        _, info = await ended(client, zipurl=url)
        assert "more than 1000000 bytes" in info["status"]["errorMessage"]
        stored = await stored_archive(client, bytes(1_000_001))
        _, info = await ended(client, zipurl=stored)
        assert "more than 1000000 bytes" in info["status"]["errorMessage"]


async def test_an_archive_that_is_not_there_fails_the_task(gateway: GatewayClient) -> None:
    _, info = await ended(gateway, zipurl=gateway.platform.objects.uri("inbox/none.zip"))
    assert "There is no archive at" in info["status"]["errorMessage"]


async def test_8_scaleodms_fields_name_a_prefix_its_depth_and_what_to_leave_out(
    gateway: GatewayClient,
) -> None:
    objects = gateway.platform.objects
    for path in ("1.jpg", "a/2.jpg", "a/b/3.jpg", "raw/4.jpg", "odm_orthophoto/odm_orthophoto.tif",
                 "gcp_list.txt", "task_output.txt", "all.zip", ".x.jpg", "x.pdf", "a/log_1.jpg"):  # fmt: skip
        await objects.put(f"project/{path}", path.encode())
    fields = {
        "readS3Path": objects.uri("project") + "/", "s3ScanDepth": 2, "excludePaths": ["raw/", "a/log_*"],
        "writeS3Path": objects.uri("results/mine") + "/", "s3Region": "eu", "s3Endpoint": "https://a",
    }  # fmt: skip
    uuid, info = await ended(gateway, **fields)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 2)
    assert set(await contents(gateway, uuid)) == {"1.jpg", "a/2.jpg", "gcp_list.txt"}
    assert "results/mine/all.zip" in await stored_keys(gateway, "results/")
    assert (await gateway.http.get(f"/task/{uuid}/download/all.zip")).content.startswith(b"PK")


@pytest.mark.parametrize("kind", ["data", "files"])
async def test_8_scaleodms_fields_count_in_forms_too(gateway: GatewayClient, kind: str) -> None:
    fields = {"readS3Path": await stage_images(gateway.platform), "s3ScanDepth": "1", "excludePaths": "a, b"}
    sent = {name: (None, value) for name, value in fields.items()} if kind == "files" else fields
    answer = await gateway.post("/task/new", **{kind: sent})
    assert (await gateway.finished(answer["uuid"]))["imagesCount"] == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"s3ScanDepth": "-1"}, "s3ScanDepth"), ({"s3ScanDepth": 1.5}, "s3ScanDepth"),
        ({"s3ScanDepth": True}, "s3ScanDepth"),
        ({"excludePaths": "["}, "excludePaths is no JSON"), ({"excludePaths": ["../a"]}, "excludePaths"),
        ({"excludePaths": [1]}, "excludePaths"), ({"writeS3Path": "s3://elsewhere/a"}, "writeS3Path must be"),
        ({"writeS3Path": "OURS/uploads/a"}, "writeS3Path"), ({"writeS3Path": "OURS/staging"}, "writeS3Path"),
        ({"outputs": ["a"] * 1001}, "outputs"), ({"zipurl": "s3://elsewhere/a"}, "zipurl must be"),
        ({"zipurl": "http://"}, "URL"), ({"zipurl": "OURS/../x"}, "zipurl must be"),
    ],
)  # fmt: skip
async def test_fields_that_make_no_sense_are_refused(
    gateway: GatewayClient, fields: dict[str, Any], words: str
) -> None:
    ours = gateway.platform.objects.uri("x").removesuffix("/x")
    sent = {"zipurl": await stage_images(gateway.platform)} | {
        name: value.replace("OURS", ours) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    assert words in (await gateway.post("/task/new", json=sent))["error"]


async def test_nobody_reads_or_overwrites_the_files_of_others(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, tokens=SecretStr("ann=a1,bob=b2")) as client:
        objects = client.platform.objects
        answer = await client.post("/task/new?token=a1", files={"images": ("a.jpg", b"1")})
        await stage_images(client.platform, "ann/flight")
        theirs = ("uploads/{0}", "products/{0}", "uploads", "jobs/x", "ann/flight", "ann", "ann/flight.zip")
        for prefix in theirs:
            fields = {"zipurl": objects.uri(prefix.format(answer["uuid"]))}
            refused = await client.post("/task/new?token=b2", json=fields)
            assert "cannot be" in refused["error"], refused
        fields = {"zipurl": objects.uri("ann/flight"), "writeS3Path": objects.uri("ann/results")}
        assert "uuid" in await client.post("/task/new?token=a1", json=fields)
        fields["zipurl"] = await stage_images(client.platform, "bob/flight")
        for path in ("/task/new", "/task/new/init"):
            form = {name: (None, value) for name, value in fields.items()}
            assert "cannot be written" in (await client.post(f"{path}?token=b2", files=form))["error"]


async def test_1_7_outputs_stay_inside_the_project(gateway: GatewayClient) -> None:
    outputs = json.dumps(["../../opensfm/matches", "/etc/x", "a/../b", "..", "", 1])
    uuid = (await gateway.post("/task/new", data={"zipurl": await stage_images(gateway.platform),
                                                  "outputs": outputs}))["uuid"]  # fmt: skip
    record = await gateway.platform.store.get("odm_tasks", uuid)
    assert record
    assert record.body["outputs"] == ["opensfm/matches", "etc/x", "b"]


async def test_a_slow_archive_can_be_canceled(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1000))
                await asyncio.sleep(0.1)
        finally:
            left.set()

    async with web_gateway(tmp_path, slow) as (client, url):
        uuid = (await client.post("/task/new", json={"zipurl": url}))["uuid"]
        await asyncio.sleep(1)
        await client.post("/task/cancel", json={"uuid": uuid})
        async with asyncio.timeout(20):
            await left.wait()
        assert (await client.get(f"/task/{uuid}/info"))["status"] == {"code": 50}


@pytest.mark.parametrize("at", range(1, 6))
async def test_what_a_dead_intake_has_stored_is_not_stored_again(
    platform: Platform, tmp_path: Path, at: int
) -> None:
    await platform.objects.put(
        "inbox/a.zip", archive({f"{number}.jpg": bytes([number]) for number in range(4)})
    )
    task = task_of(Source(uri=platform.objects.uri("inbox/a.zip")))
    doomed: Any = Dying(platform.objects, Doom(at, after=True))
    with pytest.raises(KilledError):
        await Intake(doomed, tmp_path).take(task, said_nothing)
    before = {stored.key: stored.modified_at async for stored in platform.objects.list("uploads/t/archive")}
    taken = await Intake(platform.objects, tmp_path).take(task, said_nothing)
    after = {stored.key: stored.modified_at async for stored in platform.objects.list("uploads/t/archive")}
    assert (taken.image_count, taken.total_bytes, len(after)) == (4, 4, 4)
    assert before.items() <= after.items()
    assert len((await read_manifest(platform.objects, taken.manifest)).images) == 4


async def test_a_busy_server_may_have_time_later(platform: Platform, tmp_path: Path) -> None:
    async def busy(_: web.Request) -> web.StreamResponse:
        raise web.HTTPServiceUnavailable

    async with serving(busy) as url:
        with pytest.raises(TransientError, match="503"):
            await Intake(platform.objects, tmp_path, allow_private_urls=True).take(
                task_of(Source(uri=url)), said_nothing
            )
