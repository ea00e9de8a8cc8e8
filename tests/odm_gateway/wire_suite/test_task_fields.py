"""The fields of a new task that change what becomes of it."""

import json
from uuid import uuid4

import pytest

from tests.odm_gateway.wire_suite.conftest import client_of
from tests.odm_gateway.wire_suite.gateways import Node, gateway_running, photo
from tests.support.webhook_receiver import webhook_receiver

ADDED = ["pc-ept", "cog", "gltf"]


async def option_names(node: Node, uuid: str) -> list[str]:
    return [option["name"] for option in (await node.info(uuid))["options"]]


async def test_s1_7_post_processing_is_on(node: Node) -> None:
    assert await option_names(node, await node.task(1)) == ADDED


@pytest.mark.parametrize(("value", "added"), [("true", []), ("True", ADDED), ("1", ADDED), ("false", ADDED)])
async def test_s1_7_post_processing_is_off_for_exactly_true(node: Node, value: str, added: list[str]) -> None:
    assert await option_names(node, await node.task(1, skipPostProcessing=value)) == added


async def test_s1_7_post_processing_leaves_what_the_user_set(node: Node) -> None:
    uuid = await node.task(1, options='[{"name": "cog", "value": false}]')
    assert {"name": "cog", "value": False} in (await node.info(uuid))["options"]
    assert sorted(await option_names(node, uuid)) == sorted(ADDED)


async def test_s1_7_post_processing_is_on_after_a_restart_with_options(node: Node) -> None:
    uuid = await node.finished()
    options = json.dumps([{"name": "dsm", "value": True}])
    await node.post("/task/restart", data={"uuid": uuid, "options": options})
    assert await option_names(node, uuid) == ["dsm", *ADDED]


async def test_s1_7_post_processing_stays_off_after_a_restart(node: Node) -> None:
    uuid = await node.finished(skipPostProcessing="true")
    await node.post("/task/restart", data={"uuid": uuid, "options": '[{"name": "dsm", "value": true}]'})
    assert await option_names(node, uuid) == ["dsm"]


@pytest.mark.parametrize("outputs", ['["opensfm/matches", "../../etc", "odm_report"]', "[]", "", "{}"])
async def test_s1_7_outputs_are_a_json_list_of_paths(node: Node, outputs: str) -> None:
    uuid = await node.task(1, outputs=outputs)
    assert (await node.ended(uuid))["status"] == {"code": 40}


async def test_s1_7_outputs_that_are_no_json_are_refused(node: Node) -> None:
    assert set(await node.init(outputs="[")) == {"error"}


async def test_s1_7_webhook_hears_info_and_images(node: Node) -> None:
    async with webhook_receiver() as receiver:
        uuid = await node.task(1, name="told", webhook=f"{receiver.url}/mine")
        [heard] = await receiver.wait(1)
    payload = heard.payload
    assert payload["images"] == []
    info = await node.info(uuid)
    assert {name: payload[name] for name in info if name != "expiresAt"} == {
        name: info[name] for name in info if name != "expiresAt"
    }


async def test_s1_7_webhook_hears_of_failures_and_of_canceled_work(node: Node, busy: Node) -> None:
    async with webhook_receiver() as receiver:
        failing = '[{"name": "camera-lens", "value": "dual"}]'
        await node.task(1, options=failing, webhook=f"{receiver.url}/failed")
        [failed] = await receiver.wait(1, path="/failed")
        uuid = await busy.task(1, webhook=f"{receiver.url}/canceled")
        await busy.post("/task/cancel", data={"uuid": uuid})
        [canceled] = await receiver.wait(1, path="/canceled")
    assert (canceled.payload["uuid"], canceled.payload["status"]) == (uuid, {"code": 50})
    assert failed.payload["status"] == {"code": 30, "errorMessage": "Cannot process dataset"}


@pytest.mark.parametrize("webhook", ["", "no", "abc"])
async def test_s1_7_webhook_has_more_than_three_letters(node: Node, webhook: str) -> None:
    uuid = await node.task(1, webhook=webhook)
    assert (await node.ended(uuid))["status"] == {"code": 40}


async def test_s1_7_cleanup_is_announced(node: Node) -> None:
    uuid = await node.finished()
    info = await node.http.get(f"/task/{uuid}/info")
    assert info.headers["x-flightline-expires"] == info.json()["expiresAt"]


async def test_s1_9_max_runtime_cancels(tmp_path_factory: pytest.TempPathFactory) -> None:
    ours = {"ODM_GATEWAY_SIMULATE_SECONDS": "600", "ODM_GATEWAY_MAX_RUNTIME": "1s"}
    with gateway_running(tmp_path_factory.mktemp("overdue") / "home", ours) as process:
        async with client_of(process) as node:
            uuid = await node.task(1)
            info = await node.ended(uuid)
            lines = await node.get(f"/task/{uuid}/output")
    assert info["status"] == {"code": 50}
    assert lines[-1].startswith("Task timed out after ")


async def test_s1_9_limits_are_settings(limited: Node) -> None:
    info = await limited.get("/info")
    assert (info["maxImages"], info["maxParallelTasks"]) == (3, 1)


async def test_s4_3_scaleodms_fields_are_taken(node: Node) -> None:
    place = f"mine/{uuid4().hex}"
    for path in ("a.jpg", "deep/b.jpg", "deep/er/c.jpg", "left/d.jpg", "odm_orthophoto/e.tif"):
        uri = await node.process.store(f"{place}/{path}", photo(0)[1] + path.encode())
    root = uri[: -len("/odm_orthophoto/e.tif")]
    sent = {"readS3Path": root, "writeS3Path": f"{root}-made", "s3ScanDepth": 2, "excludePaths": ["left"]}
    uuid = (await node.post("/task/new", json=sent))["uuid"]
    info = await node.ended(uuid)
    assert (info["status"], info["imagesCount"]) == ({"code": 40}, 2)
    assert f"{place}-made/all.zip" in await node.process.keys(f"{place}-made/")
    assert (await node.http.get(f"/task/{uuid}/download/all.zip")).content[:2] == b"PK"
