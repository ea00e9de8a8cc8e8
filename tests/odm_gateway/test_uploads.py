"""Uploads over TCP, in one request and in many: NodeODM's contract, and what bad clients and networks do."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.support.gateway import GatewayClient
from tests.support.uploading import (
    BOUNDARY,
    commit,
    contents,
    form,
    images,
    init,
    part,
    pieces,
    raw,
    stored_keys,
    upload,
)

UNKNOWN = "00000000-0000-4000-8000-000000000000"
NOT_FOUND = {"error": "Invalid uuid (not found)"}
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


async def test_1_2_new_takes_files_and_fields_in_one_request(gateway: GatewayClient) -> None:
    fields = {
        "name": "Höhe 3: a",
        "options": '[{"name": "dsm", "value": true}]',
        "skipPostProcessing": "true",
    }
    answer = await gateway.post("/task/new", data=fields, files=images("a.jpg", "b.JPG", "gcp_list.txt"))
    info = await gateway.finished(answer["uuid"])
    assert (info["status"], info["name"], info["imagesCount"]) == ({"code": 40}, "Höhe 3: a", 2)
    assert info["options"] == [{"name": "dsm", "value": True}]
    assert set(await contents(gateway, answer["uuid"])) == {"a.jpg", "b.JPG", "gcp_list.txt"}


async def test_1_2_fields_behind_the_files_count(gateway: GatewayClient) -> None:
    body = form(part("images", b"1", "a.jpg"), part("name", b"late"), part("images", b"2", "b.jpg"))
    uuid = (await gateway.post("/task/new", content=body, headers={"Content-Type": FORM[14:]}))["uuid"]
    assert (await gateway.get(f"/task/{uuid}/info"))["name"] == "late"
    assert await contents(gateway, uuid) == {"a.jpg": b"1", "b.jpg": b"2"}


async def test_1_2_new_without_files_and_url_is_refused(gateway: GatewayClient) -> None:
    refusal = {"error": "Need at least 1 file or a zip file url."}
    assert await gateway.post("/task/new", files={"name": (None, "a")}) == refusal
    assert await gateway.post("/task/new", files={"images": ("", b"")}) == refusal


@pytest.mark.parametrize("path", ["/task/new", "/task/new/init", "UPLOAD"])
async def test_1_2_files_of_another_field_are_unexpected(gateway: GatewayClient, path: str) -> None:
    path = f"/task/new/upload/{await init(gateway)}" if path == "UPLOAD" else path
    answer = await gateway.post(path, files=[("photos", ("a.jpg", bytes(3 << 20)))])
    assert answer == {"error": "Unexpected field"}


async def test_1_6_a_task_is_made_of_uploads(gateway: GatewayClient) -> None:
    uuid = await init(gateway, name="mine", dateCreated="1700000000123", skipPostProcessing="true")
    assert [await upload(gateway, uuid, name) for name in ("a.jpg", "b.jpg")] == [{"success": True}] * 2
    assert await upload(gateway, uuid, "c.jpg", "d.jpg") == {"success": True}
    assert await commit(gateway, uuid) == {"uuid": uuid}
    info = await gateway.finished(uuid)
    assert (info["status"], info["imagesCount"], info["name"]) == ({"code": 40}, 4, "mine")
    assert (info["dateCreated"], info["options"]) == (1700000000123, [])
    assert set(await contents(gateway, uuid)) == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}


async def test_1_6_before_its_commit_there_is_no_task(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    assert await gateway.get(f"/task/{uuid}/info") == {"error": f"{uuid} not found"}
    assert await gateway.get("/task/list") == []


async def test_q2_right_after_its_commit_a_task_reads_as_running(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    await commit(gateway, uuid)
    assert (await gateway.get(f"/task/{uuid}/info"))["status"] == {"code": 20}


async def test_1_2_a_commit_needs_a_file(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    assert await commit(gateway, uuid) == {"error": "Need at least 1 file."}
    await upload(gateway, uuid, "a.jpg")
    assert await commit(gateway, uuid) == {"uuid": uuid}


@pytest.mark.parametrize(
    "body",
    [{}, {"files": {"name": (None, "a")}}, {"json": {"images": "a"}}, {"data": {"images": "a"}},
     {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}],
)  # fmt: skip
async def test_1_2_an_upload_needs_a_file(gateway: GatewayClient, body: dict[str, Any]) -> None:
    uuid = await init(gateway)
    answer = await gateway.post(f"/task/new/upload/{uuid}", **body)
    assert answer == {"error": "Need at least 1 file.", "noRetry": True}


@pytest.mark.parametrize("uuid", [UNKNOWN, "x", "x" * 2000, "%00"])
async def test_1_2_unknown_uploads_are_not_found(gateway: GatewayClient, uuid: str) -> None:
    assert await upload(gateway, uuid, "a.jpg") == NOT_FOUND
    assert await commit(gateway, uuid) == NOT_FOUND


async def test_1_6_a_second_commit_and_later_uploads_are_not_found(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    await commit(gateway, uuid)
    assert (await commit(gateway, uuid), await upload(gateway, uuid, "b.jpg")) == (NOT_FOUND, NOT_FOUND)
    assert set(await contents(gateway, uuid)) == {"a.jpg"}


@pytest.mark.parametrize("kind", ["data", "json"])
async def test_1_2_init_ignores_other_bodies(gateway: GatewayClient, kind: str) -> None:
    answer = await gateway.post("/task/new/init", **{kind: {"name": "ignored", "options": "["}})
    await upload(gateway, answer["uuid"], "a.jpg")
    await commit(gateway, answer["uuid"])
    assert "name" not in await gateway.get(f"/task/{answer['uuid']}/info")


async def test_1_2_init_refuses_wrong_options_at_once(gateway: GatewayClient) -> None:
    fields = {"options": (None, '[{"name": "dsm", "value": "x"}]')}
    answer = await gateway.post("/task/new/init", files=fields)
    assert json.loads(answer["error"]) == [{"name": "dsm", "error": "Cannot convert x to boolean"}]


async def test_1_6_set_uuid_is_kept_to_the_letter(gateway: GatewayClient) -> None:
    chosen = str(uuid4()).upper()
    assert await init(gateway, {"set-uuid": chosen}) == chosen
    await upload(gateway, chosen.lower(), "a.jpg")
    assert await commit(gateway, chosen) == {"uuid": chosen}


@pytest.mark.parametrize("path", ["/task/new/init", "/task/new"])
@pytest.mark.parametrize(
    "chosen",
    ["x", "", "00000000-0000-0000-8000-000000000000", "00000000-0000-4000-c000-000000000000", "../../a"],
)  # fmt: skip
async def test_1_6_set_uuid_must_be_one(gateway: GatewayClient, path: str, chosen: str) -> None:
    answer = await gateway.post(path, files={"name": (None, "a")}, headers={"set-uuid": chosen})
    assert answer == {"error": f"Invalid set-uuid: {chosen}"}


@pytest.mark.parametrize("path", ["/task/new/init", "/task/new"])
async def test_1_6_set_uuid_must_not_be_a_tasks(gateway: GatewayClient, path: str) -> None:
    chosen = str(uuid4())
    uuid = (await gateway.post("/task/new", files=images("a.jpg"), headers={"set-uuid": chosen}))["uuid"]
    fields = {"name": (None, "a")}
    answer = await gateway.post(path, files=fields, headers={"set-uuid": uuid.upper()})
    assert answer == {"error": f"Invalid set-uuid: {uuid.upper()}"}


async def test_1_6_a_second_init_before_the_commit_changes_the_fields(gateway: GatewayClient) -> None:
    chosen = {"set-uuid": str(uuid4())}
    uuid = await init(gateway, chosen, name="first")
    await upload(gateway, uuid, "a.jpg")
    await init(gateway, chosen, name="second")
    await commit(gateway, uuid)
    assert (await gateway.get(f"/task/{uuid}/info"))["name"] == "second"
    assert set(await contents(gateway, uuid)) == {"a.jpg"}


async def test_1_6_an_upload_repeated_is_the_same_file(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    assert [await upload(gateway, uuid, "a.jpg") for _ in range(3)] == [{"success": True}] * 3
    await commit(gateway, uuid)
    assert (await gateway.finished(uuid))["imagesCount"] == 1
    assert len(await stored_keys(gateway)) == 2  # and the manifest


async def test_1_6_other_files_of_a_name_are_renamed(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    for name, content in (("a.jpg", b"1"), ("a.jpg", b"2"), ("A.JPG", b"3"), ("a.jpg", b"2"), ("ä", b"4")):
        await upload(gateway, uuid, name, content=content)
    await commit(gateway, uuid)
    assert await contents(gateway, uuid) == {"a.jpg": b"1", "a_.jpg": b"2", "A__.JPG": b"3", "ä": b"4"}


async def test_1_6_files_of_one_name_in_one_request_are_renamed_too(gateway: GatewayClient) -> None:
    sent = [
        ("images", (name, content)) for name, content in (("a.jpg", b"1"), ("A.jpg", b"2"), ("a.jpg", b"1"))
    ]
    uuid = (await gateway.post("/task/new", files=sent))["uuid"]
    assert sorted((await contents(gateway, uuid)).values()) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("a/b/c.jpg", "c.jpg"), ("..\\\\..\\\\c.jpg", "c.jpg"), ("../../etc/c.jpg", "c.jpg"),
        ("C:\\\\fakepath\\\\c.jpg", "c.jpg"), ("Höhe #1 ? %2F.jpg", "Höhe #1 ? %2F.jpg"),
        ("body.json", "_body.json"),
        ("x" * 251 + ".jpg", "x" * 251 + ".jpg"),
    ],
)  # fmt: skip
async def test_q24_of_a_files_path_the_name_counts(gateway: GatewayClient, sent: str, stored: str) -> None:
    uuid = await init(gateway)
    body = form(part("images", b"1", sent))
    headers = {"Content-Type": FORM[14:]}
    assert await gateway.post(f"/task/new/upload/{uuid}", content=body, headers=headers) == {"success": True}
    await commit(gateway, uuid)
    assert set(await contents(gateway, uuid)) == {stored}


@pytest.mark.parametrize(
    "name", ["..", ".", "a/", "a\0b.jpg", "a\tb.jpg", "x" * 300 + ".jpg", "ä" * 127 + ".jpg"]
)
@pytest.mark.parametrize("path", ["/task/new", "UPLOAD"])
async def test_names_that_no_file_can_have_are_refused(gateway: GatewayClient, path: str, name: str) -> None:
    path = f"/task/new/upload/{await init(gateway)}" if path == "UPLOAD" else path
    body = form(part("images", b"1", name), part("images", b"2", "fine.jpg"))
    answer = await gateway.post(path, content=body, headers={"Content-Type": FORM[14:]})
    assert "file" in answer["error"]


async def test_1_6_files_have_roles_by_their_names(gateway: GatewayClient) -> None:
    names = (
        "1.jpg",
        "gcp_list.txt",
        "geo.txt",
        "image_groups.txt",
        "align.tif",
        "seed.zip",
        "other.zip",
        "a.txt",
    )
    uuid = (await gateway.post("/task/new", files=images(*names)))["uuid"]
    [manifest] = [key for key in await stored_keys(gateway) if key.endswith("manifest.json")]
    listed = json.loads(await gateway.platform.objects.read(manifest))
    assert {file["path"]: file["role"] for file in listed["sidecars"]} == {
        "gcp_list.txt": "gcp", "geo.txt": "geo", "image_groups.txt": "image_groups", "align.tif": "align",
        "seed.zip": "seed",
    }  # fmt: skip
    assert (await gateway.get(f"/task/{uuid}/info"))["imagesCount"] == 1


async def test_q10_a_commit_with_a_form_that_is_none_is_a_commit(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    headers = ["Content-Type: multipart/form-data", "Content-Length: 0", "Connection: close"]
    assert await raw(gateway, f"/task/new/commit/{uuid}?token=", headers) == {"uuid": uuid}


@pytest.mark.parametrize("kind", ["json", "data"])
async def test_q10_whatever_a_commit_says_is_not_read(gateway: GatewayClient, kind: str) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    assert await gateway.post(f"/task/new/commit/{uuid}", **{kind: {"a": "["}}) == {"uuid": uuid}


async def test_q11_bodies_may_come_in_chunks(gateway: GatewayClient) -> None:
    content = bytes(range(256)) * 2000
    body = form(part("images", content, "a.jpg", "image/jpeg"), part("images", b"", "empty.jpg"))
    uuid = await init(gateway)
    answer = await gateway.post(
        f"/task/new/upload/{uuid}", content=pieces(body), headers={"Content-Type": FORM[14:]}
    )
    assert answer == {"success": True}
    await commit(gateway, uuid)
    assert await contents(gateway, uuid) == {"a.jpg": content, "empty.jpg": b""}


async def test_q13_big_bodies_wait_for_a_continue(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    body = form(part("images", b"1" * 100_000, "a.jpg"))
    headers = [FORM, f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close"]
    assert await raw(gateway, f"/task/new/upload/{uuid}", headers, body) == {"success": True}


@pytest.mark.parametrize("path", ["/task/new", "UPLOAD"])
async def test_a_body_that_stops_half_way_stores_nothing_of_the_half_file(
    gateway: GatewayClient, path: str
) -> None:
    uuid = await init(gateway)
    path = f"/task/new/upload/{uuid}" if path == "UPLOAD" else path
    body = form(part("images", b"1" * 1000, "half.jpg"))
    headers = [FORM, f"Content-Length: {len(body) + 5_000_000}"]
    assert await raw(gateway, path, headers, body[:500], is_cut=True) is None
    assert await stored_keys(gateway) == []
    assert await commit(gateway, uuid) == {"error": "Need at least 1 file."}


async def test_of_a_form_without_its_end_the_last_file_does_not_count(gateway: GatewayClient) -> None:
    uuid = await init(gateway)
    await upload(gateway, uuid, "a.jpg")
    body = part("images", b"2" * 1000, "half.jpg")[:-500]
    headers = {"Content-Type": FORM[14:]}
    answer = await gateway.post(f"/task/new/upload/{uuid}", content=body, headers=headers)
    assert answer == {"error": "The form ended before its end."}
    await commit(gateway, uuid)
    assert set(await contents(gateway, uuid)) == {"a.jpg"}
