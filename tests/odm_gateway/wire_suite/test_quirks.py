"""The quirks that clients depend on, one by one; some have their test beside the rows that they are about."""

import asyncio
import json
import re
from uuid import uuid4

import pytest

from tests.odm_gateway.wire_suite.conftest import client_of
from tests.odm_gateway.wire_suite.gateways import (
    JPEG,
    UNKNOWN,
    Node,
    gateway_running,
    images,
    photo,
)
from tests.odm_gateway.wire_suite.raw import FORM, chunked, connected, field_part, file_part, form, head


async def test_q1_an_id_that_clusterodm_chooses_stays_routable(node: Node) -> None:
    uuid = str(uuid4())
    assert re.fullmatch(r"\w+-\w+-\w+-\w+-\w+", (await node.init(set_uuid=uuid))["uuid"])


async def test_q1_an_id_of_ours_is_the_workflows_name(node: Node) -> None:
    assert re.fullmatch(r"odm-pipeline-[a-z0-9]+", (await node.init())["uuid"])


async def test_q1_a_workflows_name_finds_the_task_of_a_chosen_id(node: Node) -> None:
    uuid = str(uuid4())
    await node.init(set_uuid=uuid)
    await node.upload(uuid, photo(0))
    await node.commit(uuid)
    assert (await node.info(f"odm-pipeline-{uuid}"))["uuid"] == uuid


async def test_q2_right_after_the_commit_a_task_runs(busy: Node, limited: Node) -> None:
    for server in (busy, limited):
        for _ in range(3):
            uuid = await server.task(1)
            assert (await server.info(uuid))["status"]["code"] in (20, 40)


async def test_q3_a_completed_task_can_be_canceled(node: Node) -> None:
    uuid = await node.finished()
    assert await node.post("/task/cancel", data={"uuid": uuid}) == {"success": True}
    assert (await node.info(uuid))["status"] == {"code": 50}


async def test_q4_a_restart_keeps_the_id(node: Node) -> None:
    uuid = await node.finished()
    assert await node.post("/task/restart", data={"uuid": uuid}) == {"success": True}
    assert (await node.ended(uuid))["uuid"] == uuid
    assert (await node.get("/task/list")).count({"uuid": uuid}) == 1


async def test_q5_unknown_options_of_a_restart_vanish(node: Node) -> None:
    uuid = await node.finished(skipPostProcessing="true")
    options = json.dumps([{"name": "mesh-size", "value": 12345}, {"name": "of-another-engine", "value": 1}])
    await node.post("/task/restart", data={"uuid": uuid, "options": options})
    assert (await node.info(uuid))["options"] == [{"name": "mesh-size", "value": 12345}]


async def test_q6_polling_by_the_count_of_lines_gives_each_line_once(limited: Node) -> None:
    uuid = await limited.task(1)
    lines: list[str] = []
    async with asyncio.timeout(60):
        while True:
            info = await limited.info(uuid, with_output=str(len(lines)))
            lines += info["output"]
            if info["status"]["code"] >= 30:
                break
            await asyncio.sleep(0.1)
    assert lines == await limited.get(f"/task/{uuid}/output")
    assert lines


@pytest.mark.parametrize("count", [1, 3, 9])
async def test_q7_negative_lines_count_from_the_end(node: Node, count: int) -> None:
    uuid = await node.finished()
    whole = await node.get(f"/task/{uuid}/output", params={"line": 0})
    assert await node.get(f"/task/{uuid}/output", params={"line": -count}) == whole[-count:]
    assert (await node.info(uuid, with_output=str(-count)))["output"] == whole[-count:]


async def test_q8_output_is_an_array_without_the_word_that_breaks_pyodm(node: Node) -> None:
    output = await node.get(f"/task/{await node.finished()}/output")
    assert isinstance(output, list)
    assert "error" not in output


async def test_q10_commit_takes_a_form_without_boundary_and_length_0(node: Node) -> None:
    uuid = await node.drafted(1)
    async with connected(node.process.port) as raw:
        path = f"/task/new/commit/{uuid}?token="
        await raw.send(head("POST", path, "Content-Type: multipart/form-data", "Content-Length: 0"))
        assert (await raw.answer()).json == {"uuid": uuid}


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain", "x"])
async def test_q10_commit_never_parses_its_body(node: Node, kind: str) -> None:
    uuid = await node.drafted(1)
    answer = await node.post(f"/task/new/commit/{uuid}", content=b"{", headers={"Content-Type": kind})
    assert answer == {"uuid": uuid}


async def test_q11_uploads_come_in_chunks_without_a_length(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    body = form(file_part(*photo(0)), file_part("b.jpg", JPEG * 20_000))
    pieces = [body[start : start + 7777] for start in range(0, len(body), 7777)]
    async with connected(node.process.port) as raw:
        path = f"/task/new/upload/{uuid}"
        await raw.send(head("POST", path, f"Content-Type: {FORM}", "Transfer-Encoding: chunked"))
        await raw.send(chunked(pieces))
        assert (await raw.answer()).json == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 2


async def test_q11_a_whole_task_comes_in_chunks(node: Node) -> None:
    body = form(
        file_part(*photo(0)), field_part("name", "CloudODM"), field_part("skipPostProcessing", "true")
    )
    async with connected(node.process.port) as raw:
        await raw.send(head("POST", "/task/new", f"Content-Type: {FORM}", "Transfer-Encoding: chunked"))
        for start in range(0, len(body), 11):
            await raw.send(b"%x\r\n%b\r\n" % (len(body[start : start + 11]), body[start : start + 11]))
        await raw.send(b"0\r\n\r\n")
        uuid = (await raw.answer()).json["uuid"]
    info = await node.ended(uuid)
    assert (info["name"], info["options"], info["imagesCount"]) == ("CloudODM", [], 1)


async def test_q12_a_request_may_carry_many_files(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    for start in range(0, 60, 20):
        assert await node.upload(uuid, *map(photo, range(start, start + 20))) == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 60


async def test_q13_who_asks_first_is_told_to_continue(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    body = form(file_part("big.jpg", JPEG * 200_000))
    async with connected(node.process.port) as raw:
        lines = head(
            "POST", f"/task/new/upload/{uuid}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}",
            "Expect: 100-continue",
        )  # fmt: skip
        await raw.send(lines)
        assert (await raw.answer()).status == 100
        await raw.send(body)
        assert (await raw.answer()).json == {"success": True}


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain", "nonsense"])
async def test_q14_the_type_of_a_part_does_not_matter(node: Node, kind: str) -> None:
    uuid = (await node.init())["uuid"]
    sent = [("images", ("a.jpg", JPEG, kind))]
    assert await node.post(f"/task/new/upload/{uuid}", files=sent) == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 1


@pytest.mark.parametrize(
    "name", ["Task of 2026-05-01T10:00:00Z", "Żółw: pole 7 / 図", "a,b{c}+d", "'; DROP --"]
)
async def test_q15_names_are_free_text(node: Node, name: str) -> None:
    uuid = await node.task(1, name=name)
    assert (await node.info(uuid))["name"] == name


async def test_q16_a_token_that_nobody_wants_is_ignored_everywhere(node: Node) -> None:
    for token in ("", "leaked"):
        uuid = await node.task(1)
        query = {"token": token}
        assert (await node.get(f"/task/{uuid}/info", params=query))["uuid"] == uuid
        assert await node.post("/task/cancel", data={"uuid": uuid}, params=query) == {"success": True}


async def test_q17_what_cannot_succeed_says_so(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    assert (await node.post(f"/task/new/upload/{uuid}"))["noRetry"] is True


async def test_q18_a_connection_that_drops_can_be_followed_by_another_try(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    body = form(file_part(*photo(0)))
    lines = head("POST", f"/task/new/upload/{uuid}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}")
    async with connected(node.process.port) as raw:
        await raw.send(lines + body[:-20])
    async with connected(node.process.port) as raw:
        await raw.send(lines + body)
        assert (await raw.answer()).json == {"success": True}
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 1


async def test_q19_a_removed_task_is_not_found(node: Node) -> None:
    uuid = await node.finished()
    await node.post("/task/remove", data={"uuid": uuid})
    words = {"error": f"{uuid} not found"}
    for what in ("info", "output", "download/all.zip"):
        assert await node.get(f"/task/{uuid}/{what}") == words
    answer = await node.post("/task/restart", data={"uuid": uuid})
    assert answer == {"success": False, **words}


async def test_q20_urls_for_logging_in_are_absolute(tmp_path_factory: pytest.TempPathFactory) -> None:
    ours = {"ODM_GATEWAY_LOGIN": "true", "ODM_GATEWAY_REGISTRATION": "true"}
    with gateway_running(tmp_path_factory.mktemp("login") / "home", ours) as process:
        async with client_of(process) as node:
            told = await node.get("/auth/info")
            user = {"username": "ada", "password": "long enough"}
            registered = await node.http.post(told["registerUrl"], json=user)
            token = (await node.http.post(told["loginUrl"], json=user)).json()["token"]
            wrong = await node.post("/auth/login", json={**user, "password": "not this"})
            info = await node.get("/info", params={"token": token})
    assert told["loginUrl"] == f"{process.url}/auth/login"
    assert registered.json() == {"success": True}
    assert (set(wrong), "version" in info) == ({"error"}, True)


async def test_q21_the_refusal_begins_as_cloudodm_expects(limited: Node) -> None:
    answer = await limited.get("/info", params={"token": "wrong"})
    assert answer["error"].startswith("Invalid authentication token")
    assert "token does not match" in answer["error"]


async def test_q22_what_succeeds_has_no_error(node: Node) -> None:
    uuid = await node.drafted(1)
    answers = [
        await node.get("/info"),
        await node.get("/auth/info"),
        await node.commit(uuid),
        await node.ended(uuid),
        await node.post("/task/cancel", data={"uuid": uuid}),
        await node.post("/task/restart", data={"uuid": uuid}),
        await node.post("/task/remove", data={"uuid": uuid}),
    ]
    assert not any("error" in answer for answer in answers)


async def test_q24_only_the_last_part_of_a_path_names_a_file(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    await node.post(f"/task/new/upload/{uuid}", files=images(("/mnt/field/a.jpg", b"1")))
    await node.post(f"/task/new/upload/{uuid}", files=images(("a.jpg", b"1")))
    await node.post(f"/task/new/upload/{uuid}", files=images(("folder_a.jpg", b"1")))
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 2


async def test_q25_a_zipurl_is_no_reason_to_refuse(node: Node) -> None:
    uri = await node.process.store(f"mine/{uuid4().hex}/a.jpg", JPEG)
    answer = await node.post("/task/new", data={"zipurl": uri.rpartition("/")[0]})
    assert set(answer) == {"uuid"}


async def test_q10_an_upload_without_boundary_or_content_wants_a_file(node: Node) -> None:
    uuid = (await node.init())["uuid"]
    headers = {"Content-Type": "multipart/form-data"}
    answer = await node.post(f"/task/new/upload/{uuid}", headers=headers)
    assert answer["error"] == "Need at least 1 file."
    assert (await node.post(f"/task/new/upload/{UNKNOWN}", headers=headers))["error"]
