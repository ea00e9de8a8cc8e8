"""Our OpenAPI is true: whatever requests it allows, answers are what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import Case

from odm_gateway.config import EngineKind, Settings
from odm_gateway.main import create_app
from tests.odm_gateway.wire_suite.conftest import client_of
from tests.odm_gateway.wire_suite.gateways import Process, gateway_running
from tests.support.openapi import answered_as_described, drawing


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    ours = {"ODM_GATEWAY_SIMULATE_SECONDS": "0.2", "ODM_GATEWAY_LOGIN": "false"}
    with gateway_running(tmp_path_factory.mktemp("api") / "home", ours) as process:
        yield process


@pytest.fixture(scope="module")
def known(process: Process) -> dict[str, str]:
    """Give the ids of a finished task and of an upload that goes on."""
    return asyncio.run(_known(process))


async def _known(process: Process) -> dict[str, str]:
    async with client_of(process) as node:
        return {"task": await node.finished(), "draft": await node.drafted(1)}


schema = schemathesis.openapi.from_dict(create_app(Settings(engine=EngineKind.SIMULATE)).openapi())


def test_it_is_openapi_and_served(process: Process) -> None:
    schema.validate()
    assert httpx.get(f"{process.url}/openapi.json").json() == schema.raw_schema


def test_bodies_are_described_in_every_form_that_is_taken() -> None:
    content = schema.raw_schema["paths"]["/task/new"]["post"]["requestBody"]["content"]
    fields = {kind: set(body["schema"]["properties"]) for kind, body in content.items()}
    plain = fields["application/json"]
    assert fields["application/x-www-form-urlencoded"] == plain > {"zipurl", "name", "options", "outputs"}
    assert fields["multipart/form-data"] == plain | {"images"}


def test_errors_are_described_as_answers_with_status_200() -> None:
    for path, method in (("/info", "get"), ("/task/new", "post"), ("/task/cancel", "post")):
        answer = schema.raw_schema["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        assert {"$ref": "#/components/schemas/Error"} in answer["schema"]["anyOf"]


@schema.parametrize()
@drawing(4)
def test_answers_are_as_described(case: Case[Any], process: Process, known: dict[str, str]) -> None:
    _check(case, process, known)


@pytest.mark.long
@pytest.mark.timeout(1800)
@schema.parametrize()
@drawing(300)
def test_answers_to_many_requests_are_as_described(
    case: Case[Any], process: Process, known: dict[str, str]
) -> None:
    _check(case, process, known)


def _check(case: Case[Any], process: Process, known: dict[str, str]) -> None:
    """Send a request, every other one about something that there is."""
    uuid = case.path_parameters.get("uuid", "")
    if isinstance(uuid, str) and len(uuid) % 2:
        case.path_parameters["uuid"] = known["draft" if "/new/" in case.path else "task"]
    if isinstance(case.body, dict) and "remove" not in case.path and len(str(case.body)) % 2:
        case.body["uuid"] = known["task"]
    answered_as_described(case, process.url)
