"""The page for people, and the description for tools."""

import json
import re
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator  # type: ignore[import-untyped]
from pydantic import SecretStr

from odm_gateway.config import EngineKind, Settings
from odm_gateway.domain.tasks import Task
from odm_gateway.loops import TASKS
from odm_gateway.main import create_app
from odm_gateway.routes.pages import TASKS_PER_PAGE, swagger
from shared.state import Collection
from tests.support.gateway import GatewayClient, running_gateway

EVIL = "<script>alert('x')</script>\"&"
OF_EVERY_SERVICE = {"/healthz", "/readyz", "/metrics"}


async def test_the_page_shows_tasks_with_links_to_what_they_made(gateway: GatewayClient) -> None:
    uuid = await gateway.new_task(name="Field 7")
    await gateway.finished(uuid)
    page = (await gateway.http.get("/")).text
    assert "Field 7" in page
    assert "completed" in page
    for link in (f"/task/{uuid}/info", f"/task/{uuid}/output", f"/task/{uuid}/download/all.zip"):
        assert f'href="{link}"' in page
        assert (await gateway.http.get(link)).status_code == 200


async def test_the_page_escapes_what_users_wrote(gateway: GatewayClient) -> None:
    await gateway.new_task(name=EVIL)
    page = (await gateway.http.get("/", params={"after": EVIL, "token": EVIL})).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page


async def test_the_page_runs_and_loads_nothing(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"(src|href)=\"https?:", answer.text)


async def test_an_empty_node_has_a_page(gateway: GatewayClient) -> None:
    assert "There are no tasks." in (await gateway.http.get("/")).text


async def test_without_its_token_the_page_shows_nothing_of_the_node(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, tokens=SecretStr("ann=1, bob=2")) as client:
        uuid = (
            await client.post(
                "/task/new?token=1",
                data={"zipurl": client.platform.objects.uri("staging/a"), "name": "Secret field"},
            )
        )["uuid"]
        for path in ("/", "/?token=", "/?token=wrong"):
            page = (await client.http.get(path)).text
            assert "wants a token" in page
            assert "Engine" not in page
        assert "Secret field" not in (await client.http.get("/?token=2")).text
        own = (await client.http.get("/?token=1")).text
    assert "Secret field" in own
    assert f'href="/task/{uuid}/info?token=1"' in own


async def test_thousands_of_tasks_come_page_by_page(gateway: GatewayClient) -> None:
    tasks = Collection(gateway.platform.store, TASKS, Task)
    count = TASKS_PER_PAGE + 5
    for number in range(count):
        task = Task(id=f"t-{number}", created_at=datetime.now(UTC), inserted_us=number, images="x", status=50)
        await tasks.insert(task.id, task)
    first = (await gateway.http.get("/")).text
    older = re.search(r'href="\?(after=[^"]+)"', first)
    assert older
    second = (await gateway.http.get(f"/?{older[1].replace('&amp;', '&')}")).text
    shown = [re.findall(r"<small>(t-\d+)</small>", page) for page in (first, second)]
    assert [len(page) for page in shown] == [TASKS_PER_PAGE, 5]
    assert len({*shown[0], *shown[1]}) == count


async def test_swagger_is_swagger(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/swagger.json")
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    assert document["swagger"] == "2.0"
    assert [error.message for error in Draft4Validator(swagger_schema()).iter_errors(document)] == []


def swagger_schema() -> Any:
    """Return the schema of Swagger 2.0; its package cannot be imported beside a current jsonschema."""
    [path] = [
        path
        for path in distribution("openapi-spec-validator").files or ()
        if path.match("schemas/v2.0/schema.json")
    ]
    return json.loads(path.read_text())


def test_swagger_refers_to_nothing_that_is_not_there() -> None:
    text = json.dumps(swagger())
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found: Any = swagger()
        for part in reference.split("/"):
            found = found[part]
    names = re.findall(r'"operationId": "([^"]+)"', text)
    assert len(set(names)) == len(names)


def test_swagger_describes_every_route_and_no_other() -> None:
    app = create_app(Settings(port=0, engine=EngineKind.SIMULATE))
    served = {
        (path, method)
        for path, item in app.openapi()["paths"].items()
        for method in item
        if path not in OF_EVERY_SERVICE
    }
    described = {
        (path, method)
        for path, item in swagger()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == described


@pytest.mark.parametrize("path", list(swagger()["paths"]))
def test_swagger_names_the_parameters_of_every_path(path: str) -> None:
    for operation in swagger()["paths"][path].values():
        parameters = [
            swagger()["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            for one in operation.get("parameters", [])
        ]
        named = {one["name"] for one in parameters if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
