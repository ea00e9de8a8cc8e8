"""The rows of the table of endpoints."""

import asyncio
import json
from uuid import uuid4

import pytest

from tests.odm_gateway.wire_suite.gateways import UNKNOWN, Node, images, multipart, photo

WRONG_OPTION = json.dumps([{"name": "dsm", "value": "perhaps"}])


async def test_s1_2_info_can_be_asked_to_refuse(node: Node) -> None:
    for value in ("1", "", "false"):
        answer = await node.http.get("/info", params={"_debugUnauthorized": value})
        assert (answer.status_code, answer.content) == (401, b"")


async def test_s1_2_options_are_a_list(node: Node) -> None:
    assert isinstance(await node.get("/options"), list)


async def test_s1_2_task_new_takes_files(node: Node) -> None:
    answer = await node.post(
        "/task/new", files=[*images(*map(photo, range(3))), *multipart({"name": "One request"}).items()]
    )
    assert set(answer) == {"uuid"}
    info = await node.ended(answer["uuid"])
    assert (info["name"], info["imagesCount"], info["status"]) == ("One request", 3, {"code": 40})


@pytest.mark.parametrize("kind", ["data", "json", "files"])
async def test_s1_2_task_new_takes_a_place_in_the_object_store(node: Node, kind: str) -> None:
    prefix = f"mine/{uuid4().hex}"
    for number in range(2):
        uri = await node.process.store(f"{prefix}/{photo(number)[0]}", photo(number)[1])
    fields = {"zipurl": uri.rpartition("/")[0], "name": kind}
    sent = multipart(fields) if kind == "files" else fields
    uuid = (await node.post("/task/new", **{kind: sent}))["uuid"]
    info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"], info["name"]) == ({"code": 40}, 2, kind)


async def test_s1_2_task_new_wants_files_or_a_place(node: Node) -> None:
    wanted = {"error": "Need at least 1 file or a zip file url."}
    assert await node.post("/task/new") == wanted
    assert await node.post("/task/new", files=multipart({"name": "a"})) == wanted
    assert await node.post("/task/new", data={"zipurl": ""}) == wanted


async def test_s1_2_task_new_refuses_too_many_images(limited: Node) -> None:
    answer = await limited.post("/task/new", files=images(*map(photo, range(5))))
    assert answer == {"error": "5 images uploaded, but this node can only process up to 3."}


async def test_s1_2_task_new_refuses_files_of_another_field(node: Node) -> None:
    assert await node.post("/task/new", files={"image": photo(0)}) == {"error": "Unexpected field"}


@pytest.mark.parametrize("path", ["/task/new", "/task/new/init"])
@pytest.mark.parametrize(
    "uuid", ["x", UNKNOWN[:-1], UNKNOWN.replace("-4", "-9"), UNKNOWN.replace("-8", "-1")]
)
async def test_s1_2_set_uuid_that_is_no_uuid_is_refused(node: Node, path: str, uuid: str) -> None:
    files = images(photo(0)) if path == "/task/new" else multipart({"name": "a"})
    answer = await node.post(path, files=files, headers={"set-uuid": uuid})
    assert answer == {"error": f"Invalid set-uuid: {uuid}"}


async def test_s1_2_option_errors_refuse_every_way_in(node: Node) -> None:
    wanted = {"error": json.dumps([{"name": "dsm", "error": "Cannot convert perhaps to boolean"}]).replace(": ", ":").replace(", ", ",")}  # fmt: skip # noqa: E501
    wrong = multipart({"options": WRONG_OPTION})
    assert await node.post("/task/new", files=[*images(photo(0)), *wrong.items()]) == wanted
    assert await node.post("/task/new/init", files=wrong) == wanted


async def test_s1_2_init_answers_with_the_id(node: Node) -> None:
    assert set(await node.init(name="a")) == {"uuid"}


@pytest.mark.parametrize("kind", ["data", "json"])
async def test_s1_2_init_ignores_other_bodies_than_multipart(node: Node, kind: str) -> None:
    uuid = (await node.post("/task/new/init", **{kind: {"name": "ignored", "options": WRONG_OPTION}}))["uuid"]
    await node.upload(uuid, photo(0))
    await node.commit(uuid)
    assert "name" not in await node.info(uuid)


async def test_s1_2_upload_takes_one_file_and_many(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    assert await node.upload(uuid, photo(0)) == {"success": True}
    assert await node.upload(uuid, *map(photo, range(1, 9))) == {"success": True}
    await node.commit(uuid)
    assert (await node.info(uuid))["imagesCount"] == 9


async def test_s1_2_upload_wants_a_task_that_was_begun(node: Node) -> None:
    assert await node.upload(UNKNOWN, photo(0)) == {"error": "Invalid uuid (not found)"}
    assert await node.upload("no-uuid", photo(0)) == {"error": "Invalid uuid (not found)"}


async def test_s1_2_upload_wants_a_file(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    wanted = {"error": "Need at least 1 file.", "noRetry": True}
    assert await node.post(f"/task/new/upload/{uuid}") == wanted
    assert await node.post(f"/task/new/upload/{uuid}", files=multipart({"name": "a"})) == wanted


async def test_s1_2_commit_answers_with_the_id_once(node: Node) -> None:
    uuid = await node.drafted(1)
    assert await node.commit(uuid) == {"uuid": uuid}
    assert await node.commit(uuid) == {"error": "Invalid uuid (not found)"}
    assert await node.commit(UNKNOWN) == {"error": "Invalid uuid (not found)"}


async def test_s1_2_commit_wants_files(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    assert await node.commit(uuid) == {"error": "Need at least 1 file."}


async def test_s1_2_list_has_all_states_in_order_of_insertion(node: Node) -> None:
    before = len(await node.get("/task/list"))
    failed = json.dumps([{"name": "camera-lens", "value": "dual"}])
    made = [await node.task(1), await node.task(1, options=failed), await node.task(1, dateCreated="1")]
    await node.post("/task/cancel", data={"uuid": made[2]})
    await asyncio.gather(*map(node.ended, made))
    assert (await node.get("/task/list"))[before:] == [{"uuid": uuid} for uuid in made]


@pytest.mark.parametrize("what", ["info", "output", "download/all.zip", "download/nope"])
async def test_s1_2_not_found_is_said_of_unknown_tasks(node: Node, what: str) -> None:
    for uuid in (UNKNOWN, "no-uuid", "%20", "a" * 300):
        answer = await node.get(f"/task/{uuid}/{what}")
        assert answer == {"error": f"{uuid.replace('%20', ' ')} not found"}


async def test_s1_2_task_info_is_one_object(node: Node) -> None:
    uuid = await node.task(1)
    assert (await node.info(uuid))["uuid"] == uuid


async def test_s1_2_output_is_a_list_of_texts(node: Node) -> None:
    uuid = await node.finished()
    lines = await node.get(f"/task/{uuid}/output")
    assert lines
    assert all(isinstance(line, str) for line in lines)


async def test_s1_2_download_answers_are_bytes_or_say_why_not(node: Node) -> None:
    uuid = await node.finished()
    assert (await node.http.get(f"/task/{uuid}/download/all.zip")).content[:4] == b"PK\x03\x04"
    assert await node.get(f"/task/{uuid}/download/nope.bin") == {"error": "Invalid asset"}
    assert await node.get(f"/task/{uuid}/download/dsm.tif") == {"error": "Asset not ready"}


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
@pytest.mark.parametrize("sent", [{}, {"uuid": ""}, {"id": "a"}])
async def test_s1_2_changes_without_an_id_are_refused(node: Node, verb: str, sent: dict[str, str]) -> None:
    for kind in ("data", "json"):
        assert await node.post(f"/task/{verb}", **{kind: sent}) == {"error": "uuid param missing."}


async def test_s1_2_cancel_of_work_succeeds(busy: Node) -> None:
    uuid = await busy.task(1)
    assert await busy.post("/task/cancel", data={"uuid": uuid}) == {"success": True}
    assert (await busy.info(uuid))["status"] == {"code": 50}


async def test_s1_2_remove_deletes_what_was_uploaded_and_made(node: Node) -> None:
    uuid = await node.finished()
    assert await node.process.keys(f"products/{uuid}/")
    assert await node.post("/task/remove", data={"uuid": uuid}) == {"success": True}
    async with asyncio.timeout(30):
        while await node.process.keys(f"products/{uuid}/") or await node.process.keys(f"uploads/{uuid}/"):
            await asyncio.sleep(0.1)


async def test_s1_2_restart_of_work_is_refused(busy: Node) -> None:
    uuid = await busy.task(1)
    answer = await busy.post("/task/restart", data={"uuid": uuid})
    assert answer == {"success": False, "error": "Task cannot be restarted"}


async def test_s1_2_restart_with_wrong_options_is_an_error_alone(node: Node) -> None:
    uuid = await node.finished()
    answer = await node.post("/task/restart", data={"uuid": uuid, "options": WRONG_OPTION})
    assert set(answer) == {"error"}
    assert "Cannot convert perhaps to boolean" in answer["error"]


async def test_s1_2_auth_info_says_that_there_is_none(node: Node) -> None:
    assert await node.get("/auth/info") == {
        "message": "Authentication not available on this node",
        "loginUrl": None,
        "registerUrl": None,
    }


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
async def test_s1_2_login_and_register_are_not_available(node: Node, path: str) -> None:
    sent = {"username": "a", "password": "b"}
    assert await node.post(path, json=sent) == {"error": "Not available"}
    assert await node.post(path, data=sent) == {"error": "Not available"}


async def test_s1_2_page_and_description_are_there(node: Node) -> None:
    page = await node.http.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await node.get("/swagger.json"))["swagger"] == "2.0"
