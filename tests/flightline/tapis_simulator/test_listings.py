"""Listings as the real service gives them, oddities included, by tapipy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flightline.tapis_simulator.files import FileTree
from tests.support.tapis import USER, TapisServer, blocking, refused, tapis_server

IMAGES = "Flight1/code/images"


@pytest.fixture
async def server() -> AsyncIterator[TapisServer]:
    async with tapis_server() as running:
        yield running


@pytest.fixture
async def client(server: TapisServer) -> Any:
    return await server.logged_in()


async def listed(client: Any, path: str = "/", system: str = "sys", **query: Any) -> list[Any]:
    page = await blocking(client.files.listFiles, systemId=system, path=path, **query)
    return list(page)


async def names(client: Any, path: str = "/", system: str = "sys", **query: Any) -> list[str]:
    return [entry.name for entry in await listed(client, path, system, **query)]


async def test_2345_images_come_in_three_pages(server: TapisServer, client: Any) -> None:
    server.flight("sys", images=2345)

    pages = [await names(client, IMAGES, offset=offset) for offset in (0, 1000, 2000)]

    assert [len(page) for page in pages] == [1000, 1000, 345]
    assert len({name for page in pages for name in page}) == 2345
    assert server.tapis.calls.count("listFiles", system="sys", path=IMAGES) == 3


async def test_an_entry_tells_its_size_in_bytes_and_its_time_in_seconds(
    server: TapisServer, client: Any
) -> None:
    server.flight("sys", images=1, size_bytes=5_500_000)

    (image,) = await listed(client, IMAGES)

    assert image.size == 5_500_000
    assert image.lastModified == "2024-06-12T08:13:21Z"
    assert image.path == f"{IMAGES}/DJI_00001.JPG"
    assert image.url == f"tapis://sys/{IMAGES}/DJI_00001.JPG"
    assert (image.type, image.mimeType) == ("file", "image/jpeg")


async def test_names_are_sorted_whatever_their_case(server: TapisServer, client: Any) -> None:
    system = server.tapis.add_system("sys", USER)
    for name in ("b.jpg", "A.jpg", "C.jpg"):
        system.files.add(name, 1)

    assert await names(client) == ["A.jpg", "b.jpg", "C.jpg"]


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a%b", "a%20b", "a+b", "ä ö", "a,b", "a'b\"c", "&=;"])
async def test_odd_names_are_reached_when_quoted(server: TapisServer, client: Any, name: str) -> None:
    server.flight("sys", name)

    assert await names(client) == [name]
    assert len(await listed(client, quote(f"{name}/code/images"))) == 3


async def test_the_root_has_two_urls(server: TapisServer) -> None:
    server.flight("sys")
    async with server.http() as http:
        for url in ("/v3/files/ops/sys", "/v3/files/ops/sys/"):
            async with http.get(url) as answer:
                assert [one["name"] for one in (await answer.json())["result"]] == ["Flight1"]
                assert answer.headers["Content-Type"] == "application/json"
    assert server.tapis.calls.count("listFiles") == 2


async def test_a_listed_file_is_itself(server: TapisServer, client: Any) -> None:
    server.flight("sys")

    assert await names(client, f"{IMAGES}/DJI_00002.JPG") == ["DJI_00002.JPG"]


async def test_an_empty_folder_has_nothing(server: TapisServer, client: Any) -> None:
    server.tapis.add_system("sys", USER).files.make_folder("Flight1/code/images")

    assert await listed(client, IMAGES) == []


@pytest.mark.parametrize("query", [{"limit": 1001}, {"limit": -1}, {"offset": -1}, {"pattern": "regex:("}])
async def test_bad_parameters_are_refused(server: TapisServer, client: Any, query: dict[str, Any]) -> None:
    server.flight("sys")

    with refused("BadRequestError"):
        await listed(client, **query)


async def test_a_missing_folder_is_not_found(server: TapisServer, client: Any) -> None:
    server.flight("sys")

    with refused("NotFoundError"):
        await listed(client, "Flight2")


async def test_a_path_upwards_is_refused(server: TapisServer, client: Any) -> None:
    server.flight("sys")

    with refused("BadRequestError"):
        await listed(client, "Flight1/%2e%2e/Flight1")


async def test_recursion_counts_limit_and_offset_anew_in_each_folder(
    server: TapisServer, client: Any
) -> None:
    server.flight("sys", "Flight1", 3)
    server.flight("sys", "Flight2", 3)

    files = [one for one in await listed(client, recurse=True, limit=2) if one.type == "file"]

    assert len(files) == 4  # two of each flight, where a limit on the whole would give none
    assert [one.type for one in await listed(client, recurse=True, limit=1)] == ["dir"] * 3 + ["file"]


async def test_a_pattern_keeps_the_recursion_of_2024_out_of_folders(server: TapisServer, client: Any) -> None:
    server.flight("sys")

    assert await listed(client, recurse=True, pattern="*.JPG") == []


async def test_a_pattern_lets_the_specified_recursion_into_folders(server: TapisServer, client: Any) -> None:
    server.flight("sys")
    server.tapis.recursion = "spec"

    assert len(await listed(client, recurse=True, pattern="regex:.*JPG")) == 3


async def test_s3_lists_every_key_that_begins_so(server: TapisServer, client: Any) -> None:
    server.flight("sys", "Flight1", 2).type = "S3"
    server.flight("sys", "Flight10", 1)

    keys = await listed(client, "Flight1")

    assert [key.path for key in keys] == [
        "Flight1/code/images/DJI_00001.JPG",
        "Flight1/code/images/DJI_00002.JPG",
        "Flight10/code/images/DJI_00001.JPG",
    ]
    assert {key.type for key in keys} == {"file"}
    assert len(await listed(client, limit=2, offset=2)) == 1


async def test_s3_has_no_key_that_begins_so(server: TapisServer, client: Any) -> None:
    server.flight("sys").type = "S3"

    with refused("NotFoundError"):
        await listed(client, "Flight2")


async def test_the_status_of_a_file_is_told(server: TapisServer, client: Any) -> None:
    server.flight("sys", size_bytes=77)

    status = await blocking(client.files.getStatInfo, systemId="sys", path=f"{IMAGES}/DJI_00001.JPG")

    assert (status.size, status.modifyTime, status.dir) == (77, 1_718_180_001, False)


async def test_s3_knows_no_status(server: TapisServer, client: Any) -> None:
    server.flight("sys").type = "S3"

    with refused("BadRequestError"):
        await blocking(client.files.getStatInfo, systemId="sys", path=f"{IMAGES}/DJI_00001.JPG")


async def test_a_folder_of_the_disk_is_listed_and_changes_stay_above_it(
    server: TapisServer, client: Any, tmp_path: Path
) -> None:
    images = tmp_path / "sys" / IMAGES
    images.mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        (images / name).write_bytes(b"12345")
    files = FileTree(tmp_path / "sys")
    server.tapis.add_system("sys", USER, files=files)
    files.remove(f"{IMAGES}/1.jpg")
    files.add(f"{IMAGES}/3.jpg", 9)

    assert await names(client, IMAGES) == ["2.jpg", "3.jpg"]
    assert sorted(one.name for one in images.iterdir()) == ["1.jpg", "2.jpg"]


async def test_a_removed_folder_of_the_disk_is_gone_with_all_below(
    server: TapisServer, client: Any, tmp_path: Path
) -> None:
    (tmp_path / IMAGES).mkdir(parents=True)
    (tmp_path / IMAGES / "1.jpg").write_bytes(b"1")
    files = FileTree(tmp_path)
    server.tapis.add_system("sys", USER, files=files)
    files.remove("Flight1")

    assert await names(client) == []
    with refused("NotFoundError"):
        await listed(client, IMAGES)


async def test_a_link_out_of_the_folder_leads_nowhere(
    server: TapisServer, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.jpg").write_bytes(b"secret")
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "link").symlink_to(tmp_path / "secret")
    server.tapis.add_system("sys", USER, files=FileTree(tmp_path / "sys"))

    assert [one.type for one in await listed(client)] == ["symbolic_link"]
    with refused("NotFoundError"):
        await listed(client, "link/key.jpg")
