"""Uploads in several requests, and ids that clients choose."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiohttp import web

from tests.odm_gateway.wire_suite.gateways import JPEG, UNKNOWN, Node, photo
from tests.odm_gateway.wire_suite.raw import FORM, connected, file_part, form, head


@asynccontextmanager
async def served(content: bytes) -> AsyncIterator[str]:
    """Serve an archive and give its URL."""

    async def archive(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/zip")

    app = web.Application()
    app.router.add_get("/flight.zip", archive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/flight.zip"
    finally:
        await runner.cleanup()


def zipped(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, JPEG + name.encode())
    return packed.getvalue()


@pytest.mark.parametrize("version", "1234567")
@pytest.mark.parametrize("variant", "89abAB")
async def test_s1_6_set_uuid_of_rfc_4122_is_returned_verbatim(node: Node, version: str, variant: str) -> None:
    uuid = f"{uuid4().hex[:8]}-AbCd-{version}000-{variant}000-{uuid4().hex[:12]}"
    assert await node.init(set_uuid=uuid, name="a") == {"uuid": uuid}


async def test_s1_6_set_uuid_of_a_task_is_refused(node: Node) -> None:
    uuid = str(uuid4())
    await node.init(set_uuid=uuid)
    await node.upload(uuid, photo(0))
    await node.commit(uuid)
    assert await node.init(set_uuid=uuid) == {"error": f"Invalid set-uuid: {uuid}"}


async def test_s1_6_init_twice_overwrites_the_fields(node: Node) -> None:
    uuid = str(uuid4())
    await node.init(set_uuid=uuid, name="first")
    await node.upload(uuid, photo(0))
    assert await node.init(set_uuid=uuid, name="second") == {"uuid": uuid}
    await node.commit(uuid)
    info = await node.ended(uuid)
    assert (info["name"], info["imagesCount"]) == ("second", 1)


async def test_s1_6_before_the_commit_there_is_no_task(node: Node) -> None:
    uuid = await node.drafted(1)
    assert await node.info(uuid) == {"error": f"{uuid} not found"}
    assert {"uuid": uuid} not in await node.get("/task/list")


async def test_s1_6_name_collision_keeps_both_files(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    for content in (b"one", b"two", b"three"):
        await node.upload(uuid, ("a.jpg", content))
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 3


async def test_s1_6_name_collision_of_one_and_the_same_file_is_none(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    for _ in range(3):  # NodeODM counts three: whoever repeats an upload pays for it
        assert await node.upload(uuid, photo(0)) == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 1


async def test_s1_6_reserved_names_are_taken_as_others(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    assert await node.upload(uuid, ("body.json", b"{}"), photo(0)) == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 1


async def test_s1_6_content_beside_the_images_is_taken(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    names = ("points.txt", "geo.txt", "image_groups.txt", "align.las", "seed.zip", "other.zip")
    assert await node.upload(uuid, photo(0), *((name, zipped("a")) for name in names)) == {"success": True}
    await node.commit(uuid)
    info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 1)


async def test_s1_6_max_images_is_checked_while_they_are_uploaded(limited: Node) -> None:
    uuid = await limited.drafted(3)
    words = "4 images uploaded, but this node can only process up to 3."
    assert await limited.upload(uuid, photo(3)) == {"error": words}
    assert await limited.upload(uuid, ("gcp_list.txt", b"EPSG:4326")) == {"success": True}
    assert await limited.commit(uuid) == {"uuid": uuid}
    assert (await limited.ended(uuid))["imagesCount"] == 3


async def test_s1_6_max_images_of_a_zipurl_fail_the_task(limited: Node) -> None:
    prefix = f"mine/{uuid4().hex}"
    for number in range(4):
        uri = await limited.process.store(f"{prefix}/{number}.jpg", b"x")
    uuid = (await limited.post("/task/new", data={"zipurl": uri.rpartition("/")[0]}))["uuid"]
    words = "4 images uploaded, but this node can only process up to 3."
    assert (await limited.ended(uuid))["status"] == {"code": 30, "errorMessage": words}


async def test_s1_6_commit_does_not_wait_for_the_work(busy: Node) -> None:
    uuid = await busy.drafted(3)
    async with asyncio.timeout(5):
        assert await busy.commit(uuid) == {"uuid": uuid}


async def test_s1_6_zipurl_is_unpacked_flat(node: Node) -> None:
    async with served(zipped("a.jpg", "deep/er/b.jpg", "../c.jpg", "/d.jpg", "notes.md")) as url:
        uuid = (await node.post("/task/new", data={"zipurl": url}))["uuid"]
        info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 4)


async def test_s1_6_zipurl_that_is_dead_gives_an_id_and_fails_later(node: Node) -> None:
    answer = await node.post("/task/new", data={"zipurl": "http://127.0.0.1:9/nothing.zip"})
    assert set(answer) == {"uuid"}
    assert (await node.ended(answer["uuid"]))["status"]["code"] == 30


async def test_s1_6_zipurl_of_private_addresses_is_not_fetched(limited: Node) -> None:
    async with served(zipped("a.jpg")) as url:
        answer = await limited.post("/task/new", data={"zipurl": url})
        if "uuid" in answer:
            info = await limited.ended(answer["uuid"])
            assert (info["status"]["code"], bool(info["status"]["errorMessage"])) == (30, True)
        else:
            assert answer["error"]


async def test_s9_sixteen_uploads_at_once_are_all_there(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    answers = await asyncio.gather(*(node.upload(uuid, photo(number)) for number in range(16)))
    assert answers == [{"success": True}] * 16
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 16


async def test_s9_an_upload_beside_a_commit_counts_or_fails(node: Node) -> None:
    uuid = await node.drafted(2)
    uploads = [asyncio.create_task(node.upload(uuid, photo(number))) for number in range(2, 18)]
    await asyncio.sleep(0.02)
    assert await node.commit(uuid) == {"uuid": uuid}
    answers = await asyncio.gather(*uploads)
    counted = sum(answer == {"success": True} for answer in answers)
    assert all(answer == {"success": True} or "error" in answer for answer in answers)
    assert 2 + counted <= (await node.ended(uuid))["imagesCount"] <= 2 + 16


async def test_s9_of_many_commits_one_makes_the_task(node: Node) -> None:
    uuid = await node.drafted(1)
    answers = await asyncio.gather(*(node.commit(uuid) for _ in range(8)))
    made = [answer for answer in answers if answer == {"uuid": uuid}]
    assert made
    assert all(set(answer) == {"error"} for answer in answers if answer not in made)
    assert (await node.get("/task/list")).count({"uuid": uuid}) == 1


@pytest.mark.parametrize("verb", ["cancel", "remove"])
async def test_s9_a_task_can_be_stopped_only_when_it_is_one(node: Node, verb: str) -> None:
    uuid = await node.drafted(1)
    answer = await node.post(f"/task/{verb}", data={"uuid": uuid})
    assert answer == {"success": False, "error": f"{uuid} not found"}


@pytest.mark.parametrize(
    "name",
    [
        "mit Leerzeichen.jpg",
        "żółć 图像.jpg",
        "a#b?c.jpg",
        "..%2f..%2fa.jpg",
        "../../etc/a.jpg",
        "C:\\x\\a.jpg",
        "a;b.jpg",
        "a'b.jpg",
        "." * 3 + ".jpg",
    ],
)
async def test_s9_strange_names_are_file_names_and_no_paths(node: Node, name: str) -> None:
    uuid = (await node.init())["uuid"]
    assert await node.upload(uuid, (name, JPEG)) == {"success": True}
    await node.commit(uuid)
    info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 1)


@pytest.mark.parametrize("name", ["a\0.jpg", "..", "a" * 300 + ".jpg", "a\x01.jpg"])
async def test_s9_names_of_no_file_are_refused(node: Node, name: str) -> None:
    uuid = (await node.init())["uuid"]
    body = form(file_part(name, JPEG))
    async with connected(node.process.port) as raw:
        lines = head(
            "POST", f"/task/new/upload/{uuid}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}"
        )
        await raw.send(lines + body)
        answer = await raw.answer()
    assert (answer.status, type(answer.json.get("error"))) == (200, str)


async def test_s9_names_that_differ_by_case_are_two_files(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    await node.upload(uuid, ("a.jpg", b"1"), ("A.JPG", b"2"), ("A.jpg", b"3"))
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 3


async def test_s9_a_body_that_stops_half_way_leaves_nothing(node: Node) -> None:
    uuid = await node.drafted(1)
    body = form(file_part("half.jpg", bytes(100_000)))
    async with connected(node.process.port) as raw:
        lines = head(
            "POST", f"/task/new/upload/{uuid}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}"
        )
        await raw.send(lines + body[:50_000])
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 1


async def test_s1_6_commit_of_what_was_never_begun_is_refused(node: Node) -> None:
    assert await node.commit(UNKNOWN) == {"error": "Invalid uuid (not found)"}
