"""compose.yaml keeps to its specification and to our settings, and opens nothing to the network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic_settings import BaseSettings

from flightline.chart.services import WORKLOADS
from shared.service.running import HAND_BACK
from shared.setting_faults import misspelt, variable
from shared.settings import PlatformSettings, load
from tests.deploy.images.compose import SECRETS, UnsetError, compose, optional, required, services
from tests.deploy.images.dockerfile import ROOT

OURS = {name: workload for name, workload in WORKLOADS.items() if name in services()}
SCHEMA = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
"""Of the Compose specification; the whole of it is in one file."""
ALL_SETTINGS: list[type[BaseSettings]] = [PlatformSettings, *(one.settings for one in OURS.values())]


def test_it_keeps_to_the_specification() -> None:
    validator = Draft202012Validator(SCHEMA)

    assert [error.message for error in validator.iter_errors(compose())] == []


def test_it_runs_every_service() -> None:
    assert set(OURS) == {name for name, workload in WORKLOADS.items() if len(workload.command) == 1}


@pytest.mark.parametrize("name", OURS)
def test_a_service_can_be_started_with_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = services()[name]["environment"]
    for variable_name, value in environment.items():
        monkeypatch.setenv(variable_name, str(value))

    settings = load(OURS[name].settings)
    platform = load(PlatformSettings)

    assert platform.bus == "amqp://flightline:rabbit@rabbitmq/"
    assert settings.model_dump()["port"] == int(services()[name]["ports"][0].split(":")[-1])


def test_every_variable_of_a_service_is_a_setting() -> None:
    known = {variable(settings, field) for settings in ALL_SETTINGS for field in settings.model_fields}
    told = {key for name in OURS for key in services()[name]["environment"]}

    assert told - known == set()
    assert [found for settings in ALL_SETTINGS for found in misspelt(settings, told)] == []


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_a_secret(name: str) -> None:
    with pytest.raises(UnsetError, match=name):
        compose({**SECRETS, name: ""})


def test_no_secret_is_written_down_and_make_chooses_all_of_them() -> None:
    chosen = re.search(r"for name in ([A-Z0-9_ ]+);", (ROOT / "Makefile").read_text())
    secret = re.compile(r"(TOKEN|PASSWORD|KEY|SECRET)$")

    assert required() == set(SECRETS)
    assert chosen
    assert set(chosen[1].split()) == required()
    assert {name: word for name, word in optional().items() if word and secret.search(name)} == {}


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_everything_that_stays_is_looked_after_and_waits_for_what_it_needs() -> None:
    unwatched = {
        name
        for name, service in services().items()
        if service.get("restart") == "unless-stopped" and "healthcheck" not in service
    }
    waits = {
        (name, on): how["condition"]
        for name, service in services().items()
        for on, how in service.get("depends_on", {}).items()
    }

    assert unwatched == set()
    assert {name for name, service in services().items() if "restart" not in service} == {"bucket"}
    assert {condition for (_, on), condition in waits.items() if on != "bucket"} == {"service_healthy"}
    assert {on for name, on in waits if name in OURS} == {"rabbitmq", "mongodb", "s3"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_asked_for_its_readiness_where_it_listens(name: str) -> None:
    service: dict[str, Any] = services()[name]
    port = service["ports"][0].split(":")[-1]

    assert f"http://127.0.0.1:{port}/readyz" in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_no_rights_and_no_room_but_its_own(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert f"{name}:/data" in service["volumes"]
    assert service["environment"]["FLIGHTLINE_HOME"] == "/data"
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_the_time_that_it_takes_to_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable_name, value in services()[name]["environment"].items():
        monkeypatch.setenv(variable_name, str(value))

    needs = load(OURS[name].settings).shutdown_grace + HAND_BACK

    assert float(services()[name]["stop_grace_period"].removesuffix("s")) > needs.total_seconds()
