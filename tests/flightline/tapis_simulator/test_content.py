"""Downloads, by tapipy and by aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from flightline.tapis_simulator.contents import MadeUp
from flightline.tapis_simulator.files import FileTree
from tests.support.tapis import USER, TapisServer, blocking, refused, tapis_server

IMAGE = "Flight1/code/images/DJI_00001.JPG"


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        yield running


@pytest.fixture
async def client(server: TapisServer) -> Any:
    return await server.logged_in()


async def downloaded(server: TapisServer, path: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
    url = server.content_url("sys", path)
    async with server.http() as http, http.get(url, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize("size_bytes", [159, 160, 161, 162, 163, 65_700, 65_701, 3_000_000])
def test_a_made_up_image_has_its_size_and_can_be_decoded(size_bytes: int) -> None:
    data = b"".join(MadeUp("seed", size_bytes).chunks())

    assert len(data) == size_bytes
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (8, 8, 3)


@pytest.mark.parametrize("size_bytes", [0, 1, 100, 70_000])
def test_other_made_up_files_have_their_size(size_bytes: int) -> None:
    assert len(b"".join(MadeUp("seed", size_bytes, is_jpeg=False).chunks())) == size_bytes


async def test_tapipy_downloads_what_is_listed(server: TapisServer, client: Any) -> None:
    server.flight("sys", size_bytes=2_000_000)

    data = await blocking(client.files.getContents, systemId="sys", path=IMAGE)

    assert len(data) == 2_000_000


async def test_made_up_files_differ_by_system_and_path_and_stay_the_same(server: TapisServer) -> None:
    server.flight("one", images=2)
    server.flight("two", images=2)
    async with server.http() as http:
        urls = [server.content_url(system, IMAGE) for system in ("one", "two", "one")]
        urls.append(server.content_url("one", IMAGE.replace("1.J", "2.J")))
        data = [await (await http.get(url)).read() for url in urls]

    assert data[0] == data[2]
    assert len(set(data)) == 3


async def test_content_is_streamed_as_an_attachment_without_a_length(server: TapisServer) -> None:
    server.flight("sys")
    async with server.http() as http, http.get(server.content_url("sys", IMAGE)) as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment; filename=DJI_00001.JPG"
        assert answer.headers["Cache-Control"] == "max-age=3600"
        assert "Content-Length" not in answer.headers
        assert len(await answer.read()) == 1000


async def test_files_of_the_disk_and_written_ones_are_sent(server: TapisServer, tmp_path: Path) -> None:
    (tmp_path / "on disk.txt").write_bytes(b"disk" * 1_000_000)
    files = FileTree(tmp_path)
    files.write("written.txt", b"by hand")
    server.tapis.add_system("sys", USER, files=files)
    async with server.http() as http:
        from_disk = await (await http.get(server.content_url("sys", "on disk.txt"))).read()
        written = await (await http.get(server.content_url("sys", "written.txt"))).read()

    assert from_disk == b"disk" * 1_000_000
    assert written == b"by hand"


async def test_an_odd_name_is_downloaded_when_quoted(server: TapisServer, client: Any) -> None:
    odd = "a b#?%+,ä\"'.jpg"
    server.tapis.add_system("sys", USER).files.add(odd, 500)

    assert len(await blocking(client.files.getContents, systemId="sys", path=quote(odd))) == 500


@pytest.mark.parametrize("path", ["Flight1", "Flight1/", "Flight1/code/images"])
async def test_a_folder_is_a_bad_request(server: TapisServer, client: Any, path: str) -> None:
    server.flight("sys")

    with refused("BadRequestError"):
        await blocking(client.files.getContents, systemId="sys", path=path)


async def test_a_missing_file_is_not_found(server: TapisServer, client: Any) -> None:
    server.flight("sys")

    with refused("NotFoundError"):
        await blocking(client.files.getContents, systemId="sys", path="Flight1/none.jpg")


async def test_a_range_counts_from_its_start(server: TapisServer) -> None:
    server.tapis.add_system("sys", USER).files.write("a.bin", bytes(range(100)))
    status, kind, body = await downloaded(server, "a.bin", {"range": "10,20"})

    assert (status, kind) == (200, "text/plain")
    assert body == bytes(range(10, 30))


@pytest.mark.parametrize("wanted", ["bytes=0-9", "20,10", "a,b"])
async def test_a_range_of_http_is_a_bad_request(server: TapisServer, wanted: str) -> None:
    server.flight("sys")
    assert (await downloaded(server, IMAGE, {"range": wanted}))[0] == 400


async def test_more_gives_a_page_of_text(server: TapisServer) -> None:
    server.tapis.add_system("sys", USER).files.write("a.txt", b"x" * 1024 + b"y" * 10)
    assert (await downloaded(server, "a.txt", {"more": "2"}))[2] == b"y" * 10
