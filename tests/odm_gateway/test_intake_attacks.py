"""Archives and servers that were made to do harm: the task says why it fails, and nothing of them is left."""

import asyncio
import json
import os
import random
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from odm_gateway.adapters.archive import open_archive
from odm_gateway.adapters.intake import Intake
from odm_gateway.adapters.intake_fetch import Target
from odm_gateway.adapters.room import FULL, Room
from odm_gateway.domain.pace import Pace
from odm_gateway.domain.tasks import Source
from shared.errors import PermanentError, StorageFullError, TransientError
from shared.platform import Platform
from tests.support.archives import archive, bomb, encrypted, expanding, lying_within, with_second_damaged
from tests.support.gateway import GatewayClient, opened_platform, running_gateway
from tests.support.small_disk import CannotMountError, small_disk
from tests.support.uploading import stored_keys
from tests.support.web_archives import ended, said_nothing, serving, stored_archive, task_of, web_gateway

MIB = 1 << 20


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_what_cannot_be_unpacked_bit_by_bit_is_not_unpacked(
    gateway: GatewayClient, compression: int
) -> None:
    before = psutil.Process().memory_info().rss
    uri = await stored_archive(gateway, expanding(200, compression))
    _, info = await ended(gateway, zipurl=uri)
    assert "packed by method" in info["status"]["errorMessage"]
    assert psutil.Process().memory_info().rss - before < 150 * MIB


@pytest.mark.parametrize("content", [lying_within(4), bomb(3 << 20)], ids=["quoted", "same"])
async def test_entries_that_share_their_bytes_are_refused(gateway: GatewayClient, content: bytes) -> None:
    _, info = await ended(gateway, zipurl=await stored_archive(gateway, content))
    assert "lies within" in info["status"]["errorMessage"]


async def test_of_an_archive_that_is_damaged_half_way_nothing_is_kept(gateway: GatewayClient) -> None:
    uri = await stored_archive(gateway, with_second_damaged(40))
    uuid, info = await ended(gateway, zipurl=uri)
    assert "damaged" in info["status"]["errorMessage"]
    assert await stored_keys(gateway, f"uploads/{uuid}/") == []


async def test_an_archive_of_too_many_images_is_not_unpacked(platform: Platform, tmp_path: Path) -> None:
    await platform.objects.put(
        "a.zip", archive({f"{number}.jpg": b"1" for number in range(3)} | {"geo.txt": b""})
    )
    task = task_of(Source(uri=platform.objects.uri("a.zip")))
    with pytest.raises(PermanentError, match="3 images uploaded, but this node can only process up to 2"):
        await Intake(platform.objects, tmp_path, max_images=2).take(task, said_nothing)
    assert [stored.key async for stored in platform.objects.list("uploads/")] == []
    await Intake(platform.objects, tmp_path, max_images=3).take(task, said_nothing)


def test_archives_changed_at_random_are_read_or_refused() -> None:
    rng = random.Random(7)
    whole = archive({"a.jpg": bytes(3000), "b/b.jpg": os.urandom(300)}, zipfile.ZIP_DEFLATED)
    for _ in range(3000):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            changed[rng.randrange(len(changed))] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        with tempfile.TemporaryFile() as file:
            file.write(changed[: rng.choice((len(changed), rng.randrange(len(changed))))])
            try:
                open_archive(file, 1 << 30).close()
            except PermanentError:
                continue


async def test_a_server_that_drips_is_given_up(tmp_path: Path) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    with tempfile.TemporaryFile() as file:
        target = Target(file, Room(tmp_path), MIB, said_nothing, Pace(1000, grace_s=0.1))
        with pytest.raises(TransientError, match="less than 1000 B/s"):
            await target.fill(dripping(), None)


async def test_a_disk_of_ours_that_is_slow_is_not_the_servers_fault(tmp_path: Path) -> None:
    async def quick() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"

    async def slow(_: str) -> None:
        await asyncio.sleep(0.3)

    with tempfile.TemporaryFile() as file:
        await Target(file, Room(tmp_path), MIB, slow, Pace(1000, grace_s=0.1)).fill(quick(), None)


async def test_what_a_server_packs_once_more_is_not_unpacked(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with web_gateway(tmp_path, answer) as (client, url):
        _, info = await ended(client, zipurl=url)
        assert "packed once more" in info["status"]["errorMessage"]


async def test_no_secret_of_a_url_is_told_whatever_the_server_answers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 banana\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://me:hush%41word@127.0.0.1:{port}/a%2fb.zip?X-Amz-Signature=hush%2fhush&x=hush+hush"
    async with server, running_gateway(tmp_path, allow_private_urls=True) as client:
        uuid, info = await ended(client, zipurl=url)
        output = await client.get(f"/task/{uuid}/output")
    assert info["status"]["code"] == 30
    assert "hush" not in json.dumps([info, output])
    logged = capfd.readouterr()
    assert "hush" not in logged.out + logged.err


async def test_while_an_archive_is_fetched_no_file_has_a_name(tmp_path: Path) -> None:
    is_on_its_way, go_on = asyncio.Event(), asyncio.Event()
    content = archive({"1.jpg": bytes(2 * MIB)})

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        is_on_its_way.set()
        await go_on.wait()
        await response.write(content[len(content) // 2 :])
        return response

    async with serving(answer) as url, opened_platform(tmp_path / "home") as platform:
        intake = Intake(platform.objects, tmp_path / "work", allow_private_urls=True)
        taking = asyncio.create_task(intake.take(task_of(Source(uri=url)), said_nothing))
        await is_on_its_way.wait()
        await asyncio.sleep(0.2)
        assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []
        go_on.set()
        assert (await taking).image_count == 1


async def test_an_archive_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", 24 * MIB) as disk:
            async with opened_platform(disk) as platform:
                await too_large_for(platform, tmp_path / "work")
    except CannotMountError as error:
        pytest.skip(f"needs to mount a small disk: {error}")


async def too_large_for(platform: Platform, work: Path) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=archive({f"{number}.jpg": os.urandom(5 * MIB) for number in range(6)}))

    async with serving(answer) as url:
        with pytest.raises(StorageFullError, match=FULL):
            await Intake(platform.objects, work, allow_private_urls=True).take(
                task_of(Source(uri=url)), said_nothing
            )
    assert [stored.key async for stored in platform.objects.list("uploads/")] == []


async def test_an_encrypted_archive_is_told(gateway: GatewayClient) -> None:
    _, info = await ended(gateway, zipurl=await stored_archive(gateway, encrypted({"a.jpg": b"1"})))
    assert "encrypted" in info["status"]["errorMessage"]
