"""The wire contract, against a real server with the simulated engine."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.gateway import GatewayClient, completions, running_gateway, stage_images

UUID = "4DBEB9E0-8b0c-4a6e-8a52-0c0c4f2a8d11"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_info_has_the_types_that_clients_decode(gateway: GatewayClient) -> None:
    info = await gateway.get("/info")
    assert [int(part) for part in info["version"].split(".")] >= [1, 5, 1]
    assert all(
        type(info[name]) is int for name in ("taskQueueCount", "totalMemory", "cpuCores", "maxParallelTasks")
    )
    assert info["maxImages"] is None


async def test_clients_can_ask_to_be_refused(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/info?_debugUnauthorized=1")
    assert (answer.status_code, answer.content) == (401, b"")


async def test_json_is_marked_as_express_marks_it(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/info")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_preflights_are_granted_with_the_asked_headers(gateway: GatewayClient) -> None:
    asked = {
        "Origin": "http://a",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "set-uuid",
    }
    answer = await gateway.http.options("/task/new", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert answer.headers["access-control-allow-headers"] == "set-uuid"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("DELETE", "/info"), ("GET", "/task/cancel")])
async def test_unknown_paths_and_methods_are_html_404(gateway: GatewayClient, method: str, path: str) -> None:
    answer = await gateway.http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f"Cannot {method} {path}" in answer.text


async def test_options_unpack_as_pyodm_unpacks_them(gateway: GatewayClient) -> None:
    options = await gateway.get("/options")
    assert len(options) == 82
    assert all(set(option) == {"name", "type", "value", "domain", "help"} for option in options)


@pytest.mark.parametrize(
    "path", [f"/task/{UNKNOWN}/info", f"/task/{UNKNOWN}/output", f"/task/{UNKNOWN}/download/all.zip"]
)
async def test_unknown_tasks_are_errors_with_status_200(gateway: GatewayClient, path: str) -> None:
    answer = await gateway.http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"error": f"{UNKNOWN} not found"})


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
async def test_changes_of_unknown_tasks_are_not_done(gateway: GatewayClient, verb: str) -> None:
    answer = await gateway.post(f"/task/{verb}", data={"uuid": UNKNOWN})
    assert answer == {"success": False, "error": f"{UNKNOWN} not found"}


@pytest.mark.parametrize(
    "body", [{}, {"data": {"uuid": ""}}, {"json": {}}, {"json": [1]}, {"files": {"uuid": (None, UNKNOWN)}}]
)
async def test_a_missing_uuid_is_said(gateway: GatewayClient, body: dict[str, Any]) -> None:
    assert await gateway.post("/task/cancel", **body) == {"error": "uuid param missing."}


async def test_malformed_json_is_an_error_with_status_200(gateway: GatewayClient) -> None:
    answer = await gateway.http.post(
        "/task/cancel", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("kind", ["form", "multipart", "json"])
async def test_tasks_are_made_by_every_kind_of_body(gateway: GatewayClient, kind: str) -> None:
    fields = {"zipurl": await stage_images(gateway.platform), "name": "Höhe 3: a"}
    multipart = {name: (None, value) for name, value in fields.items()}
    bodies: dict[str, dict[str, Any]] = {
        "form": {"data": fields},
        "multipart": {"files": multipart},
        "json": {"json": fields},
    }
    uuid = (await gateway.post("/task/new", **bodies[kind]))["uuid"]
    assert (await gateway.get(f"/task/{uuid}/info"))["name"] == "Höhe 3: a"


async def test_a_new_task_reads_as_running_and_unstarted(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(skipPostProcessing="true")
    info = await gateway.get(f"/task/{uuid}/info")
    assert info["status"] == {"code": 20}
    assert (info["options"], "output" in info, "name" in info) == ([], False, False)


async def test_a_finished_task_has_its_products(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(name="", dateCreated="1700000000123")
    info = await gateway.finished(uuid)
    assert (info["status"], info["progress"], info["imagesCount"]) == ({"code": 40}, 100, 3)
    assert (info["dateCreated"], type(info["processingTime"])) == (1700000000123, int)
    archive = zipfile.ZipFile(io.BytesIO((await gateway.http.get(f"/task/{uuid}/download/all.zip")).content))
    assert "odm_orthophoto/odm_orthophoto.tif" in archive.namelist()


async def test_each_end_is_told_once_with_the_products(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(name="mine")
    await gateway.finished(uuid)
    [event] = await completions(gateway.platform)
    assert (event.data.task_id, event.data.status, event.data.name) == (uuid, "completed", "mine")
    assert event.data.outputs == gateway.platform.objects.uri(f"products/{uuid}")


async def test_a_failed_task_says_why(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(options=json.dumps([{"name": "camera-lens", "value": "dual"}]))
    assert (await gateway.finished(uuid))["status"] == {"code": 30, "errorMessage": "Cannot process dataset"}
    assert await gateway.get(f"/task/{uuid}/download/all.zip") == {"error": "Asset not ready"}


async def test_an_empty_prefix_fails_the_task_not_the_request(gateway: GatewayClient) -> None:
    zipurl = gateway.platform.objects.uri("staging/nothing")
    uuid = (await gateway.post("/task/new", data={"zipurl": zipurl}))["uuid"]
    assert "no images" in (await gateway.finished(uuid))["status"]["errorMessage"]


async def test_post_processing_options_are_added_unless_skipped(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(options='[{"name": "dsm", "value": "true"}]')
    names = [option["name"] for option in (await gateway.get(f"/task/{uuid}/info"))["options"]]
    assert names == ["dsm", "pc-ept", "cog", "gltf"]


async def test_set_uuid_is_returned_verbatim_and_taken_once(gateway: GatewayClient) -> None:
    fields = {"zipurl": await stage_images(gateway.platform)}
    first = await gateway.post("/task/new", data=fields, headers={"set-uuid": UUID})
    second = await gateway.post("/task/new", data=fields, headers={"set-uuid": UUID.lower()})
    assert first == {"uuid": UUID}
    assert second == {"error": f"Invalid set-uuid: {UUID.lower()}"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Need at least 1 file or a zip file url."), ({"zipurl": "ftp://a/b.zip"}, "zipurl must be"),
        ({"zipurl": "STAGED", "options": "[{"}, "no JSON"), ({"zipurl": "STAGED", "outputs": "["}, "no JSON"),
        ({"zipurl": "STAGED", "options": '[{"name":"dsm","value":"x"}]'}, "Cannot convert x to boolean"),
    ],
)  # fmt: skip
async def test_bad_tasks_are_refused_with_status_200(
    gateway: GatewayClient, fields: dict[str, str], words: str
) -> None:
    staged = await stage_images(gateway.platform)
    sent = {name: staged if value == "STAGED" else value for name, value in fields.items()}
    answer = await gateway.http.post("/task/new", data=sent)
    assert answer.status_code == 200
    assert words in answer.json()["error"]


@pytest.mark.parametrize(("line", "count"), [("0", 6), ("", 6), ("abc", 6), ("2.7", 4), ("-2", 2), ("99", 0)])
async def test_output_is_sliced_as_javascript_slices(gateway: GatewayClient, line: str, count: int) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    lines = await gateway.get(f"/task/{uuid}/output", params={"line": line})
    info = await gateway.get(f"/task/{uuid}/info", params={"with_output": line})
    assert (len(lines), info["output"]) == (count, lines)


async def test_cancel_shows_at_once_and_again_and_is_told(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    answers = [await gateway.post("/task/cancel", data={"uuid": uuid}) for _ in range(2)]
    assert answers == [{"success": True}] * 2
    info = await gateway.get(f"/task/{uuid}/info")
    assert (info["status"], info["processingTime"]) == ({"code": 50}, -1)


async def test_a_completed_task_can_be_canceled_and_keeps_its_products(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    await gateway.post("/task/cancel", json={"uuid": uuid})
    assert (await gateway.get(f"/task/{uuid}/info"))["status"] == {"code": 50}
    assert (await gateway.http.head(f"/task/{uuid}/download/all.zip")).headers["accept-ranges"] == "bytes"


async def test_a_removed_task_is_gone_at_once(gateway: GatewayClient) -> None:
    kept, uuid = await gateway.new_task(), await gateway.new_task()
    assert await gateway.post("/task/remove", data={"uuid": uuid}) == {"success": True}
    assert await gateway.get(f"/task/{uuid}/info") == {"error": f"{uuid} not found"}
    assert await gateway.get("/task/list") == [{"uuid": kept}]


async def test_the_list_is_in_order_of_insertion(gateway: GatewayClient) -> None:
    made = [await gateway.new_task(dateCreated=str(9_000 - number)) for number in range(3)]
    assert await gateway.get("/task/list") == [{"uuid": uuid} for uuid in made]


async def test_parts_of_a_download_fit_together(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    url = f"/task/{uuid}/download/all.zip"
    whole = await gateway.http.get(url)
    parts = [await gateway.http.get(url, headers={"Range": span}) for span in ("bytes=0-99", "bytes=100-")]
    assert [part.status_code for part in parts] == [206, 206]
    assert b"".join(part.content for part in parts) == whole.content
    assert parts[0].headers["content-range"] == f"bytes 0-99/{len(whole.content)}"


async def test_downloads_say_what_they_are(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    whole = await gateway.http.head(f"/task/{uuid}/download/all.zip")
    assert whole.headers["content-disposition"] == "attachment; filename=all.zip"
    assert (whole.headers["content-type"], whole.content) == ("application/zip", b"")
    again = await gateway.http.get(
        f"/task/{uuid}/download/all.zip", headers={"If-None-Match": whole.headers["etag"]}
    )
    assert again.status_code == 304


async def test_a_range_behind_the_end_is_416(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    answer = await gateway.http.get(f"/task/{uuid}/download/all.zip", headers={"Range": "bytes=999999-"})
    assert answer.status_code == 416


@pytest.mark.parametrize(
    ("asset", "error"),
    [("nope.bin", "Invalid asset"), ("%2e%2e/all.zip", "Invalid asset"), ("dsm.tif", "Asset not ready")],
)
async def test_assets_that_are_not_there_are_errors(gateway: GatewayClient, asset: str, error: str) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    assert await gateway.get(f"/task/{uuid}/download/{asset}") == {"error": error}


async def test_a_token_is_wanted_in_the_query_and_only_there(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, token=SecretStr("secret")) as client:
        refusal = {"error": "Invalid authentication token: token does not match."}
        assert await client.get("/info?token=wrong") == refusal
        assert await client.get("/info", headers={"Authorization": "Bearer secret"}) == refusal
        assert "version" in await client.get("/info?token=secret")
        assert (await client.get("/auth/info"))["loginUrl"] is None


async def test_any_token_is_taken_where_none_is_set(gateway: GatewayClient) -> None:
    assert "version" in await gateway.get("/info?token=")
    assert "version" in await gateway.get("/info?token=leaked")


async def test_more_images_than_allowed_fail_the_task(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, max_images=2) as client:
        info = await client.finished(await client.new_task())
    words = "3 images uploaded, but this node can only process up to 2."
    assert info["status"] == {"code": 30, "errorMessage": words}


@pytest.mark.parametrize("prefix", ["", "W/"])
async def test_a_download_that_is_known_is_304_also_behind_a_proxy_that_weakens_tags(
    gateway: GatewayClient, prefix: str
) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    url = f"/task/{uuid}/download/all.zip"
    tag = (await gateway.http.head(url)).headers["etag"]
    for known in (prefix + tag, f'"x", {prefix}{tag}', "*"):
        answer = await gateway.http.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


async def test_a_range_of_thousands_of_digits_is_the_whole_file(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task()
    await gateway.finished(uuid)
    url = f"/task/{uuid}/download/all.zip"
    for span in (f"bytes=0-{'9' * 5000}", f"bytes=-{'9' * 5000}", f"bytes={'9' * 5000}-"):
        assert (await gateway.http.get(url, headers={"Range": span})).status_code == 200
