"""Uploads within limits, of several clients and gateways at once, and behind one another."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from tests.support.gateway import GatewayClient, running_gateway, stage_images
from tests.support.uploading import (
    BOUNDARY,
    commit,
    contents,
    images,
    init,
    part,
    stored_keys,
    upload,
)

NOT_FOUND = {"error": "Invalid uuid (not found)"}
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


async def test_names_in_other_unicode_forms_or_letter_case_are_renamed(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    names = ("Höhe.jpg", "Ho\u0308he.jpg", "HÖHE.JPG")
    for name in names:
        assert await upload(gateway, uuid, name) == {"success": True}
        assert await upload(gateway, uuid, name) == {"success": True}
    await commit(gateway, uuid)
    there = await contents(gateway, uuid)
    assert sorted(there.values()) == sorted(name.encode() for name in names)
    assert set(there) == {"Höhe.jpg", "Ho\u0308he_.jpg", "HÖHE__.JPG"}


async def test_two_uploads_of_one_file_at_the_same_time_keep_both_contents(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    sent = [bytes([number]) * 200_000 for number in range(4)]
    answers = await asyncio.gather(
        *(upload(gateway, uuid, "a.jpg", content=content) for content in (*sent, *sent))
    )
    assert answers == [{"success": True}] * 8
    await commit(gateway, uuid)
    there = await contents(gateway, uuid)
    assert sorted(there.values()) == sent
    assert (await gateway.finished(uuid))["imagesCount"] == 4


async def test_1_2_too_many_images_are_refused_with_their_number(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_images=3) as client:
        sent = images(*(f"{number}.jpg" for number in range(5)), "gcp_list.txt", "align.tif")
        answer = await client.post("/task/new", files=sent)
        assert answer == {"error": "5 images uploaded, but this node can only process up to 3."}
        assert "uuid" in await client.post("/task/new", files=sent[2:])


async def test_8_too_many_images_are_refused_while_they_are_uploaded(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_images=2) as client:
        uuid = await init(client)
        answers = [
            await upload(client, uuid, name) for name in ("a.jpg", "b.jpg", "geo.txt", "a.jpg", "c.jpg")
        ]
        words = "3 images uploaded, but this node can only process up to 2."
        assert answers == [{"success": True}] * 4 + [{"error": words}]
        assert await commit(client, uuid) == {"uuid": uuid}
        assert (await client.finished(uuid))["imagesCount"] == 2


async def test_1_6_too_many_images_at_the_commit_fail_the_task(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as client:
        uuid = await init(client)
        await upload(client, uuid, "a.jpg", "b.jpg", "c.jpg")
    async with running_gateway(tmp_path, max_images=2) as client:
        assert await commit(client, uuid) == {"uuid": uuid}
        words = "3 images uploaded, but this node can only process up to 2."
        assert (await client.finished(uuid))["status"] == {"code": 30, "errorMessage": words}


async def test_uploads_have_a_size_at_most(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_upload_bytes=2000) as client:
        uuid = await init(client)
        answers = [await upload(client, uuid, f"{n}.jpg", content=bytes([n]) * 900) for n in range(3)]
        assert answers[:2] == [{"success": True}] * 2
        assert "2000 bytes" in answers[2]["error"]
        large = await client.post("/task/new", files=[("images", ("a.jpg", bytes(3 << 20)))])
        assert "2000 bytes" in large["error"]
        await commit(client, uuid)
        assert set(await contents(client, uuid)) == {"0.jpg", "1.jpg"}


async def test_only_who_began_an_upload_can_use_it(tmp_path: Path) -> None:
    tokens = SecretStr("ann=a1,bob=b2,root=r3")
    async with running_gateway(tmp_path, tokens=tokens, admins=("root",)) as client:
        answer = await client.post("/task/new/init?token=a1", files={"name": (None, "a")})
        for token in ("b2", "r3"):
            sent = await client.post(
                f"/task/new/upload/{answer['uuid']}?token={token}", files=images("a.jpg")
            )
            assert sent == NOT_FOUND
            assert await client.post(f"/task/new/commit/{answer['uuid']}?token={token}") == NOT_FOUND
        mine = await client.post(f"/task/new/upload/{answer['uuid']}?token=a1", files=images("a.jpg"))
        assert mine == {"success": True}


async def test_somebody_elses_draft_keeps_its_id(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, tokens=SecretStr("ann=a1,bob=b2")) as client:
        chosen = {"set-uuid": str(uuid4())}
        fields = {"name": (None, "a")}
        assert "uuid" in await client.post("/task/new/init?token=a1", files=fields, headers=chosen)
        answer = await client.post("/task/new/init?token=b2", files=fields, headers=chosen)
        assert answer == {"error": f"Invalid set-uuid: {chosen['set-uuid']}"}


async def test_9_sixteen_uploads_at_once_are_all_there(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    contents_sent = {f"{number}.jpg": bytes([number]) * 300_000 for number in range(16)}
    answers = await asyncio.gather(
        *(upload(gateway, uuid, name, content=content) for name, content in contents_sent.items())
    )
    assert answers == [{"success": True}] * 16
    await commit(gateway, uuid)
    assert await contents(gateway, uuid) == contents_sent


@pytest.mark.parametrize("limit", [None, 100])
async def test_9_a_file_in_flight_at_the_commit_is_in_the_task_or_refused(
    tmp_path: Path, limit: int | None
) -> None:
    async with running_gateway(tmp_path, max_images=limit) as client:
        for round_number in range(6):
            uuid = await init(client)
            await upload(client, uuid, "first.jpg")
            names = [f"{number}.jpg" for number in range(16)]
            uploads = [asyncio.create_task(upload(client, uuid, name)) for name in names]
            await asyncio.sleep(0.01 * round_number)
            assert await commit(client, uuid) == {"uuid": uuid}
            answers = await asyncio.gather(*uploads)
            there = set(await contents(client, uuid))
            assert {name for name, answer in zip(names, answers, strict=True) if "success" in answer} <= there
            assert all(answer in ({"success": True}, NOT_FOUND) for answer in answers)


async def test_9_commits_at_once_make_one_task(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, *(f"{number}.jpg" for number in range(20)))
    answers = await asyncio.gather(*(commit(gateway, uuid) for _ in range(8)))
    assert {"uuid": uuid} in answers
    assert all(answer in ({"uuid": uuid}, NOT_FOUND) for answer in answers)
    assert await gateway.get("/task/list") == [{"uuid": uuid}]


async def test_any_gateway_serves_any_step(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as one, running_gateway(tmp_path) as other:
        uuid = await init(one)
        assert await upload(other, uuid, "a.jpg") == {"success": True}
        assert await upload(one, uuid, "a.jpg", "b.jpg") == {"success": True}
        assert await commit(other, uuid) == {"uuid": uuid}
        assert await commit(one, uuid) == NOT_FOUND
        assert (await one.finished(uuid))["imagesCount"] == 2


async def test_files_and_a_url_together_are_refused(gateway: GatewayClient) -> None:
    fields = {"zipurl": await stage_images(gateway.platform)}
    answer = await gateway.post("/task/new", data=fields, files=images("a.jpg"))
    assert "not both" in answer["error"]


async def test_a_task_of_no_images_fails(gateway: GatewayClient) -> None:
    uuid = (await gateway.post("/task/new", files=images("geo.txt")))["uuid"]
    assert "no images" in (await gateway.finished(uuid))["status"]["errorMessage"]


async def test_fields_are_small(gateway: GatewayClient) -> None:
    answers = [
        await gateway.post("/task/new", files={"name": (None, b"x" * (9 << 20))}),
        await gateway.post("/task/new", data={"name": "x" * (9 << 20)}),
        await gateway.post("/task/new", files=[("name", (None, "x"))] * 1001),
    ]
    assert all("fields" in answer["error"] for answer in answers)


async def test_an_upload_survives_its_gateway(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as client:
        uuid = await init(client)
        await upload(client, uuid, "a.jpg")
    async with running_gateway(tmp_path) as client:
        await upload(client, uuid, "b.jpg")
        await commit(client, uuid)
        assert set(await contents(client, uuid)) == {"a.jpg", "b.jpg"}


async def test_a_removed_task_takes_its_uploads_along_and_frees_its_id(gateway: GatewayClient) -> None:
    chosen = {"set-uuid": str(uuid4())}
    uuid = await init(gateway, chosen)
    await upload(gateway, uuid, "a.jpg")
    await commit(gateway, uuid)
    await gateway.finished(uuid)
    await gateway.post("/task/remove", data={"uuid": uuid})
    async with asyncio.timeout(30):
        while await stored_keys(gateway) or await gateway.platform.store.get("odm_tasks", uuid):
            await asyncio.sleep(0.1)
    assert await init(gateway, chosen) == uuid
    assert await commit(gateway, uuid) == {"error": "Need at least 1 file."}


async def test_a_client_that_gives_up_leaves_the_gateway_well(gateway: GatewayClient) -> None:
    uuid = await init(gateway)

    async def endless() -> Any:
        yield part("images", b"", "a.jpg")[:-2]
        while True:
            yield bytes(1 << 16)
            await asyncio.sleep(0.01)

    headers = {"Content-Type": FORM[14:]}
    with pytest.raises((httpx.WriteTimeout, TimeoutError)):
        async with asyncio.timeout(0.5):
            await gateway.http.post(f"/task/new/upload/{uuid}", content=endless(), headers=headers)
    assert await upload(gateway, uuid, "b.jpg") == {"success": True}
    await commit(gateway, uuid)
    assert set(await contents(gateway, uuid)) == {"b.jpg"}


async def test_1_6_of_uploads_at_the_same_time_no_more_than_the_limit_are_taken(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_images=3) as client:
        for _ in range(3):
            uuid = await init(client)
            answers = await asyncio.gather(*(upload(client, uuid, f"{number}.jpg") for number in range(12)))
            assert sum(answer == {"success": True} for answer in answers) == 3
            await commit(client, uuid)
            assert (await client.finished(uuid))["imagesCount"] == 3
