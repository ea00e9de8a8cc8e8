"""The fields of /task/{uuid}/info, and how its states follow one another."""

import asyncio
import json
import re
import time
from datetime import datetime
from uuid import uuid4

import pytest

from tests.odm_gateway.wire_suite.gateways import Node, photo

FAILING = json.dumps([{"name": "camera-lens", "value": "dual"}])


async def failed(node: Node) -> str:
    uuid = await node.task(1, options=FAILING)
    assert (await node.ended(uuid))["status"]["code"] == 30
    return uuid


async def test_s1_5_uuid_keeps_its_letter_case(node: Node) -> None:
    uuid = str(uuid4()).upper()
    await node.init(set_uuid=uuid, name="a")
    await node.upload(uuid, photo(0))
    await node.commit(uuid)
    assert (await node.info(uuid))["uuid"] == uuid
    assert {"uuid": uuid} in await node.get("/task/list")


async def test_s1_5_name_is_kept(node: Node) -> None:
    assert (await node.info(await node.task(1, name="Feld: 3 / Höhe 4")))["name"] == "Feld: 3 / Höhe 4"


async def test_s1_5_name_that_is_empty_becomes_the_time(node: Node) -> None:
    name = (await node.info(await node.task(1, name="")))["name"]
    assert re.fullmatch(r"Task of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", name)


async def test_s1_5_name_is_absent_where_none_was_sent(node: Node) -> None:
    assert "name" not in await node.info(await node.task(1))


async def test_s1_5_date_created_is_now_in_milliseconds(node: Node) -> None:
    created = (await node.info(await node.task(1)))["dateCreated"]
    assert type(created) is int
    assert abs(created / 1000 - time.time()) < 60


@pytest.mark.parametrize(
    ("given", "read"),
    [("1700000000123", 1700000000123), ("1700000000123.9", 1700000000123), ("12abc", 12), ("1e999", 1)],
)
async def test_s1_5_date_created_may_be_given(node: Node, given: str, read: int) -> None:
    assert (await node.info(await node.task(1, dateCreated=given)))["dateCreated"] == read


@pytest.mark.parametrize("given", ["yesterday", "", "NaN", "9" * 400])
async def test_s1_5_date_created_that_is_none_is_now(node: Node, given: str) -> None:
    created = (await node.info(await node.task(1, dateCreated=given)))["dateCreated"]
    assert abs(created / 1000 - time.time()) < 60


async def test_s1_5_date_created_is_now_again_after_a_restart(node: Node) -> None:
    uuid = await node.finished(dateCreated="1700000000123")
    await node.post("/task/restart", data={"uuid": uuid})
    assert abs((await node.info(uuid))["dateCreated"] / 1000 - time.time()) < 60


async def test_s1_5_processing_time_is_minus_one_and_then_ticks(limited: Node) -> None:
    uuid = await limited.task(1)
    assert (await limited.info(uuid))["processingTime"] >= -1
    times: list[int] = []
    while (info := await limited.info(uuid))["status"]["code"] < 30:
        times.append(info["processingTime"])
        await asyncio.sleep(0.1)
    times.append(info["processingTime"])
    assert all(type(each) is int for each in times)
    assert times[:-1] == sorted(times[:-1])  # its end may lie a moment before it was last asked for
    assert times[-1] >= 1000


async def test_s1_5_processing_time_is_minus_one_after_a_cancel(node: Node) -> None:
    uuid = await node.finished()
    await node.post("/task/cancel", data={"uuid": uuid})
    assert (await node.info(uuid))["processingTime"] == -1


async def test_s1_5_status_has_a_message_only_after_a_failure(node: Node) -> None:
    uuids = [await node.finished(), await failed(node)]
    assert [(await node.info(uuid))["status"] for uuid in uuids] == [
        {"code": 40},
        {"code": 30, "errorMessage": "Cannot process dataset"},
    ]
    await node.post("/task/cancel", data={"uuid": uuids[1]})
    assert (await node.info(uuids[1]))["status"] == {"code": 50}


async def test_s1_5_options_are_typed_and_completed(node: Node) -> None:
    uuid = await node.task(1, options='[{"name": "dsm", "value": "true"}, {"name": "crop", "value": "3"}]')
    options = (await node.info(uuid))["options"]
    assert [set(option) for option in options] == [{"name", "value"}] * 5
    assert {option["name"]: option["value"] for option in options} == {
        "dsm": True, "crop": 3, "pc-ept": True, "cog": True, "gltf": True,
    }  # fmt: skip


async def test_s1_5_options_are_never_null(node: Node) -> None:
    assert (await node.info(await node.task(1, skipPostProcessing="true")))["options"] == []


async def test_s1_5_images_count_counts_images_only(node: Node) -> None:
    uuid = await node.drafted(2)
    beside = ("gcp_list.txt", "geo.txt", "image_groups.txt", "align.laz", "align.tif", "old.zip")
    await node.upload(uuid, *((name, name.encode()) for name in beside))
    await node.commit(uuid)
    assert (await node.ended(uuid))["imagesCount"] == 2


async def test_s1_5_images_count_is_minus_one_while_unknown(busy: Node) -> None:
    uri = await busy.process.store(f"mine/{uuid4().hex}/a.jpg", b"x")
    uuid = (await busy.post("/task/new", data={"zipurl": uri.rpartition("/")[0]}))["uuid"]
    count = (await busy.info(uuid))["imagesCount"]
    assert count in (-1, 1)
    async with asyncio.timeout(30):
        while (await busy.info(uuid))["imagesCount"] != 1:
            await asyncio.sleep(0.1)


async def test_s1_5_progress_rises_to_100(limited: Node) -> None:
    uuid = await limited.task(1)
    seen = []
    while (info := await limited.info(uuid))["status"]["code"] < 30:
        seen.append(info["progress"])
        await asyncio.sleep(0.1)
    assert all(0 <= progress <= 100 for progress in seen)
    assert seen == sorted(seen)
    assert info["progress"] == 100


async def test_s1_5_progress_is_100_at_every_end_and_0_after_a_restart(busy: Node, node: Node) -> None:
    assert (await node.info(await failed(node)))["progress"] == 100
    uuid = await busy.task(1)
    await busy.post("/task/cancel", data={"uuid": uuid})
    assert (await busy.info(uuid))["progress"] == 100
    assert await busy.post("/task/restart", data={"uuid": uuid}) == {"success": True}
    assert (await busy.info(uuid))["progress"] == 0


async def test_s1_5_output_is_there_only_if_asked_for(node: Node) -> None:
    uuid = await node.finished()
    assert "output" not in await node.info(uuid)
    for value in ("0", "", "abc", "-3", "99"):
        assert isinstance((await node.info(uuid, with_output=value))["output"], list)


@pytest.mark.parametrize(
    ("line", "slice_of"),
    [
        (None, slice(None)),
        ("", slice(None)),
        ("abc", slice(None)),
        ("0", slice(None)),
        ("2.7", slice(2, None)),
        ("-2", slice(-2, None)),
        ("-99", slice(None)),
        ("99", slice(99, None)),
        (" 3 ", slice(3, None)),
        ("1e0", slice(1, None)),
        ("0x2", slice(2, None)),
        ("Infinity", slice(99, None)),
    ],
)
async def test_s1_5_lines_are_sliced_as_javascript_slices(
    node: Node, line: str | None, slice_of: slice
) -> None:
    uuid = await node.finished()
    whole = await node.get(f"/task/{uuid}/output")
    query = {} if line is None else {"line": line}
    assert len(whole) > 4
    assert await node.get(f"/task/{uuid}/output", params=query) == whole[slice_of]
    if line is not None:
        assert (await node.info(uuid, with_output=line))["output"] == whole[slice_of]


async def test_s1_5_lines_are_trimmed_and_belong_to_one_run(node: Node) -> None:
    uuid = await node.finished()
    lines = await node.get(f"/task/{uuid}/output")
    assert all(line == line.strip() and "\x1b" not in line for line in lines)
    await node.post("/task/restart", data={"uuid": uuid})
    await node.ended(uuid)
    assert len(await node.get(f"/task/{uuid}/output")) == len(lines)


async def test_s1_5_codes_are_nodeodms(node: Node, busy: Node) -> None:
    canceled = await busy.task(1)
    codes = {(await busy.info(canceled))["status"]["code"]}
    await busy.post("/task/cancel", data={"uuid": canceled})
    codes |= {(await busy.info(canceled))["status"]["code"]}
    for uuid in (await node.finished(), await failed(node)):
        codes |= {(await node.info(uuid))["status"]["code"]}
    assert codes == {20, 30, 40, 50}


async def test_s1_5_commit_makes_a_task_that_runs(busy: Node) -> None:
    info = await busy.info(await busy.task(1))
    assert info["status"] == {"code": 20}


async def test_s1_5_init_ok_is_20_then_10_while_others_run(limited: Node) -> None:
    made = [await limited.task(1) for _ in range(8)]
    codes: list[int] = []
    async with asyncio.timeout(60):
        while not codes or codes[-1] < 30:
            info = await limited.info(made[-1])
            codes.append(info["status"]["code"])
            assert codes[-1] != 10 or info["processingTime"] == -1
            await asyncio.sleep(0.1)
    assert codes[0] == 20  # for a moment, although it waits
    assert set(codes) == {10, 20, 40}


async def test_s1_5_init_error_is_30_and_stays_listed(node: Node) -> None:
    uuid = (await node.post("/task/new", data={"zipurl": "http://127.0.0.1:9/nothing.zip"}))["uuid"]
    info = await node.ended(uuid)
    assert (info["status"]["code"], bool(info["status"]["errorMessage"])) == (30, True)
    assert {"uuid": uuid} in await node.get("/task/list")


async def test_s1_5_status_of_a_good_end_is_40(node: Node) -> None:
    assert (await node.info(await node.finished()))["status"] == {"code": 40}


async def test_s1_5_status_of_a_bad_end_is_30(node: Node) -> None:
    assert (await node.info(await failed(node)))["status"]["code"] == 30


async def test_s1_5_cancel_leads_everywhere_to_50_and_may_be_repeated(node: Node, busy: Node) -> None:
    for server, uuid in (
        (busy, await busy.task(1)),
        (node, await node.finished()),
        (node, await failed(node)),
    ):
        for _ in range(2):
            assert await server.post("/task/cancel", data={"uuid": uuid}) == {"success": True}
            assert (await server.info(uuid))["status"] == {"code": 50}


async def test_s1_5_remove_ends_work_and_forgets(busy: Node) -> None:
    uuid = await busy.task(1)
    assert await busy.post("/task/remove", data={"uuid": uuid}) == {"success": True}
    assert await busy.info(uuid) == {"error": f"{uuid} not found"}
    assert {"uuid": uuid} not in await busy.get("/task/list")
    assert await busy.post("/task/remove", data={"uuid": uuid}) == {
        "success": False,
        "error": f"{uuid} not found",
    }


async def test_s1_5_restart_begins_anew_from_every_end(node: Node) -> None:
    canceled = await node.finished()
    await node.post("/task/cancel", data={"uuid": canceled})
    for uuid in (canceled, await node.finished(), await failed(node)):
        options = json.dumps([{"name": "dsm", "value": True}])
        assert await node.post("/task/restart", data={"uuid": uuid, "options": options}) == {"success": True}
        info = await node.ended(uuid)
        assert info["status"] == {"code": 40}
        assert info["options"][0] == {"name": "dsm", "value": True}


async def test_s1_5_restart_leaves_the_task_empty_at_first(busy: Node) -> None:
    uuid = await busy.task(1)
    await busy.post("/task/cancel", data={"uuid": uuid})
    assert await busy.post("/task/restart", data={"uuid": uuid}) == {"success": True}
    info = await busy.info(uuid, with_output="0")
    assert info["status"]["code"] in (10, 20)
    assert (info["progress"], len(info["output"]) <= 1) == (0, True)


async def test_s1_5_name_tells_the_time_in_utc(node: Node) -> None:
    uuid = await node.finished(name="", dateCreated="0")
    name = (await node.info(uuid))["name"]
    assert datetime.fromisoformat(name.removeprefix("Task of ")).timestamp() == 0
