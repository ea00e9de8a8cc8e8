"""What CloudODM, ClusterODM, WebODM and ODM's split-merge send, in their order and their wording."""

import asyncio
import io
import json
import time
import zipfile
from uuid import uuid4

from tests.odm_gateway.wire_suite.gateways import JPEG, Node, images, multipart, photo
from tests.odm_gateway.wire_suite.raw import FORM, chunked, connected, field_part, file_part, form, head


async def test_cloudodm_sends_one_stream_and_polls_by_lines(node: Node) -> None:
    assert "version" in await node.get("/info")
    assert await node.get("/options")
    options = json.dumps([{"name": "dsm", "value": "true"}, {"name": "orthophoto-resolution", "value": "5"}])
    body = form(
        *(file_part(*photo(number), kind="application/octet-stream") for number in range(3)),
        field_part("skipPostProcessing", "true"),
        field_part("options", options),
    )
    async with connected(node.process.port) as raw:
        lines = head("POST", "/task/new?token=", f"Content-Type: {FORM}", "Transfer-Encoding: chunked")
        await raw.send(lines + chunked(body[start : start + 4096] for start in range(0, len(body), 4096)))
        uuid = (await raw.answer()).json["uuid"]
    console: list[str] = []
    async with asyncio.timeout(60):
        while (info := await node.info(uuid))["status"]["code"] in (10, 20):
            console += await node.get(f"/task/{uuid}/output", params={"line": len(console)})
            await asyncio.sleep(0.1)
    assert (info["status"], info["imagesCount"], type(info["processingTime"])) == ({"code": 40}, 3, int)
    assert info["options"] == [{"name": "dsm", "value": True}, {"name": "orthophoto-resolution", "value": 5}]
    assert (await node.http.get(f"/task/{uuid}/download/all.zip")).content[:2] == b"PK"


async def test_cloudodm_uploads_in_parallel_without_lengths(node: Node) -> None:
    fields = form(field_part("skipPostProcessing", "true"), field_part("options", "[]"))
    async with connected(node.process.port) as raw:
        await raw.send(head("POST", "/task/new/init?token=", f"Content-Type: {FORM}", "Transfer-Encoding: chunked"))  # fmt: skip # noqa: E501
        await raw.send(chunked([fields]))
        uuid = (await raw.answer()).json["uuid"]

    async def upload(number: int) -> object:
        async with connected(node.process.port) as raw:
            path = f"/task/new/upload/{uuid}?token="
            await raw.send(head("POST", path, f"Content-Type: {FORM}", "Transfer-Encoding: chunked"))
            await raw.send(chunked([form(file_part(*photo(number)))]))
            return (await raw.answer()).json

    assert await asyncio.gather(*map(upload, range(4))) == [{"success": True}] * 4
    assert await node.post(f"/task/new/commit/{uuid}?token=") == {"uuid": uuid}
    assert (await node.ended(uuid))["imagesCount"] == 4


async def test_cloudodm_cancels_with_json(busy: Node) -> None:
    uuid = await busy.task(1)
    assert await busy.post("/task/cancel?token=", json={"uuid": uuid}) == {"success": True}


async def test_clusterodm_forwards_a_task(node: Node) -> None:
    info = await node.get("/info?token=")
    assert info["maxParallelTasks"] - info["taskQueueCount"] is not None
    uuid, now_ms = str(uuid4()), round(time.time() * 1000) - 5000
    fields = {
        "name": "Cluster task",
        "options": '[{"name": "cog", "value": true}]',
        "dateCreated": str(now_ms),
    }
    answer = await node.post(
        "/task/new/init?token=", files=multipart(fields), headers={"set-uuid": uuid, "Expect": "100-continue"}
    )
    assert answer == {"uuid": uuid}
    for start in range(0, 40, 2):  # twenty requests
        sent = images(*map(photo, range(start, start + 2)))
        assert await node.post(f"/task/new/upload/{uuid}?token=", files=sent) == {"success": True}
    async with connected(node.process.port) as raw:
        path = f"/task/new/commit/{uuid}?token="
        await raw.send(head("POST", path, "Content-Type: multipart/form-data", "Content-Length: 0"))
        assert (await raw.answer()).json == {"uuid": uuid}
    task = await node.ended(uuid)
    assert (task["uuid"], task["dateCreated"], task["imagesCount"]) == (uuid, now_ms, 40)


async def test_clusterodm_repeats_a_chunk_whose_answer_was_lost(limited: Node) -> None:
    uuid = str(uuid4())
    await limited.init(set_uuid=uuid, name="a")
    for _ in range(4):
        answer = await limited.upload(uuid, photo(0), photo(1), photo(2))
        assert answer == {"success": True}
    assert await limited.commit(uuid) == {"uuid": uuid}
    assert (await limited.ended(uuid))["imagesCount"] == 3


async def test_webodm_appends_the_lines_that_it_has_not_seen(limited: Node) -> None:
    uuid = await limited.task(2, name="Task of Sat Nov 21 2026", webhook="")
    console: list[str] = []
    async with asyncio.timeout(60):
        while (info := await limited.info(uuid, with_output=str(len(console))))["status"]["code"] < 30:
            console += info["output"]
            await asyncio.sleep(0.1)
    console += info["output"]
    assert console == await limited.get(f"/task/{uuid}/output")
    for verb in ("cancel", "remove"):
        assert await limited.post(f"/task/{verb}", data={"uuid": uuid}) == {"success": True}


async def test_split_merge_sends_submodels_with_seeds_and_wants_folders(node: Node) -> None:
    seed = io.BytesIO()
    with zipfile.ZipFile(seed, "w") as archive:
        archive.writestr("opensfm/reference_lla.json", "{}")
    fields = {
        "outputs": '["opensfm/matches", "opensfm/features"]',
        "skipPostProcessing": "true",
        "name": "sub",
    }
    uuid = (await node.init(**fields))["uuid"]
    beside = (("seed.zip", seed.getvalue()), ("gcp_list.txt", b"EPSG:4326\n"), ("geo.txt", b"EPSG:4326\n"))
    assert await node.upload(uuid, ("a.jpg", JPEG), *beside) == {"success": True}
    assert await node.commit(uuid) == {"uuid": uuid}
    assert (await node.info(uuid))["status"]["code"] in (20, 40)
    info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"], info["options"]) == ({"code": 40}, 1, [])
    assert isinstance(await node.get(f"/task/{uuid}/output", params={"line": -9}), list)
