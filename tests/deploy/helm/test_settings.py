"""The environment that the chart gives a service is one that the service can start with."""

from __future__ import annotations

import os

import pytest
import yaml
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from flightline.chart.__main__ import CHART, VALUES, WRITTEN
from flightline.chart.readme import explained
from flightline.chart.schema import values_schema
from flightline.chart.services import OWNED, WORKLOADS, settings_of
from shared.setting_faults import misspelt, variable
from shared.settings import PlatformSettings, load
from tests.deploy.helm.rendering import PROFILES, Document, of_kind, pods, profile, refusal, render, rendered

SECRETS = {
    "FLIGHTLINE_BUS": "amqp://user:password@rabbitmq/",
    "FLIGHTLINE_STATE": "mongodb://user:password@mongodb/flightline",
}
BACKENDS = {"FLIGHTLINE_BUS", "FLIGHTLINE_STATE", "FLIGHTLINE_OBJECTS"}
"""Without these a service starts all the same, on what its pod has and loses."""
SERVICES = [(name, service) for name in PROFILES for service in WORKLOADS]
every_service = pytest.mark.parametrize(("name", "service"), SERVICES)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable_name in list(os.environ):
        if variable_name.startswith(("FLIGHTLINE_", *(f"{prefix(name)}_" for name in WORKLOADS))):
            monkeypatch.delenv(variable_name)
    return monkeypatch


def prefix(service: str) -> str:
    return WORKLOADS[service].command[0].replace("-", "_").upper()


def environment(documents: list[Document] | tuple[Document, ...], service: str) -> dict[str, str]:
    """Return the variables of a pod, with something in place of secrets."""
    plain: dict[str, str] = of_kind(documents, "ConfigMap")[service]["data"]
    [container] = of_kind(documents, "Deployment")[service]["spec"]["template"]["spec"]["containers"]
    secret = [entry["name"] for entry in container.get("env", ())]
    assert not set(secret) & set(plain)
    return plain | {each: SECRETS.get(each, "0123456789abcdef0123456789abcdef") for each in secret}


def known(settings: type[BaseSettings]) -> set[str]:
    return {variable(settings, field) for field in settings.model_fields}


@every_service
def test_every_variable_is_a_field_of_the_settings(name: str, service: str) -> None:
    given = environment(rendered(name), service)
    assert set(given) <= known(PlatformSettings) | known(WORKLOADS[service].settings)
    assert misspelt(PlatformSettings, given) == misspelt(WORKLOADS[service].settings, given) == []


@every_service
def test_every_required_field_is_set(name: str, service: str) -> None:
    given = environment(rendered(name), service)
    for settings in (PlatformSettings, WORKLOADS[service].settings):
        needed = {
            variable(settings, each) for each, field in settings.model_fields.items() if field.is_required()
        }
        assert needed <= set(given)
    assert set(given) >= BACKENDS


@pytest.mark.parametrize(("name", "service"), [pair for pair in SERVICES if pair[0] != "vault"])
def test_the_settings_are_accepted(name: str, service: str, clean_environment: pytest.MonkeyPatch) -> None:
    for variable_name, value in environment(rendered(name), service).items():
        clean_environment.setenv(variable_name, value)
    platform, own = load(PlatformSettings), load(WORKLOADS[service].settings)
    urls = (platform.bus, platform.state, platform.objects)
    assert [url.partition("://")[0] for url in urls] == ["amqp", "mongodb", "s3"]
    assert own.host == "0.0.0.0"
    assert isinstance(own.token, SecretStr)


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "vault"])
@pytest.mark.parametrize("pod", ["tools", "test"])
def test_tools_reach_the_same_backends(name: str, pod: str, clean_environment: pytest.MonkeyPatch) -> None:
    plain: dict[str, str] = of_kind(rendered(name), "ConfigMap")[pod]["data"]
    owners = dict(pods(rendered(name)))
    kind = "Deployment" if pod == "tools" else "Pod"
    [container] = owners[f"{kind} flightline-{pod}"]["containers"]
    secret = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    [of_ingest] = owners["Deployment flightline-ingest"]["containers"]
    assert secret == {each["name"]: each["valueFrom"]["secretKeyRef"] for each in of_ingest["env"]}
    for variable_name, value in plain.items():
        if variable_name.isupper():
            clean_environment.setenv(variable_name, value)
    assert plain.items() - {("push_flight.py", plain.get("push_flight.py", ""))} <= (
        of_kind(rendered(name), "ConfigMap")["ingest"]["data"].items()
    )
    assert load(PlatformSettings).objects.startswith("s3://")


@every_service
def test_the_port_is_the_one_that_is_listened_on(name: str, service: str) -> None:
    workload = WORKLOADS[service]
    given = environment(rendered(name), service)[variable(workload.settings, workload.port_field)]
    [container] = of_kind(rendered(name), "Deployment")[service]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": int(given), "protocol": "TCP"}]
    found = of_kind(rendered(name), "Service").get(service)
    assert (found is not None) == workload.is_called
    if found:
        assert [port["port"] for port in found["spec"]["ports"]] == [int(given)]


def test_agents_bring_what_is_no_secret_of_the_cluster() -> None:
    given = environment(rendered("vault"), "ingest")
    assert given["FLIGHTLINE_BUS"] == "file:/vault/secrets/FLIGHTLINE_BUS"
    pod = of_kind(rendered("vault"), "Deployment")["ingest"]["spec"]["template"]
    assert pod["metadata"]["annotations"]["vault.hashicorp.com/agent-inject-secret-FLIGHTLINE_BUS"] == (
        "kv/data/flightline"
    )
    assert pod["metadata"]["annotations"]["vault.hashicorp.com/agent-inject-template-FLIGHTLINE_BUS"] == (
        '{{- with secret "kv/data/flightline" -}}{{ .Data.data.flightline_bus }}{{- end -}}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(100663296, "100663296"), (12582912000, "12582912000"), (0.05, "0.05"), (True, "true")],
)
def test_numbers_are_written_as_the_services_read_them(value: object, text: str) -> None:
    setting = {
        "100663296": "INGEST_BYTES_IN_FLIGHT",
        "12582912000": "INGEST_FILE_BYTES_AT_MOST",
        "0.05": "INGEST_UNREADABLE_AT_MOST",
        "true": "FLIGHTLINE_ALLOW_PRIVATE_URLS",
    }[text]
    values = profile("local")
    place = values if setting.startswith("FLIGHTLINE") else values["services"]["ingest"]
    place["settings"] = {setting: value}
    assert environment(render(values), "ingest")[setting] == text


def test_what_is_set_for_datalab_counts_for_its_workers() -> None:
    values = profile("local")
    values["services"]["datalab"]["settings"] = {"DATALAB_TIME_LIMIT": "2h"}
    assert environment(render(values), "datalab-worker")["DATALAB_TIME_LIMIT"] == "2h"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("INGEST_LEASES", "1m"),
        ("INGEST_LEASE", "soon"),
        ("INGEST_FILES_AT_ONCE", 257),
        ("INGEST_FILES_AT_ONCE", "8"),
        ("INGEST_TOKEN", "written out"),
        ("INGEST_PORT", 80),
        ("FLIGHTLINE_HOST", "::"),
    ],
)
def test_a_setting_that_is_none_or_has_a_wrong_value_is_refused(setting: str, value: object) -> None:
    values = profile("local")
    values["services"]["ingest"]["settings"] = {setting: value}
    assert setting in refusal(values)


def test_every_setting_can_be_said_in_one_way_and_no_secret_in_the_clear() -> None:
    definitions = values_schema(WRITTEN, VALUES)["definitions"]
    for name in ("platform", *WORKLOADS):
        family = name if name == "platform" else WORKLOADS[name].command[0]
        plain = set(definitions[f"{family}-settings"]["properties"])
        secret = set(definitions[f"{family}-secrets"]["properties"])
        assert not plain & secret
        assert plain | secret == known(settings_of(name)) - OWNED


def test_every_value_is_explained() -> None:
    """Every line of ``values.yaml`` that has a value has a comment, once: services are all alike."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    first = lines.index("  ingest:") if "  ingest:" in lines else len(lines)
    last = lines.index("rabbitmq:")
    looked_at = [*enumerate(lines[:first]), *enumerate(lines[last:], last)]
    unexplained = [
        line
        for number, line in looked_at
        if line.strip() and not line.lstrip().startswith(("#", "-")) and not line.endswith(":")
        if not lines[number - 1].lstrip().startswith("#") and not _continues(lines, number)
    ]
    assert unexplained == []


def _continues(lines: list[str], number: int) -> bool:
    """Return whether a line is within a value that was explained as a whole."""
    depth = len(lines[number]) - len(lines[number].lstrip())
    for above in range(number - 1, -1, -1):
        line = lines[above]
        if line.strip() and len(line) - len(line.lstrip()) < depth and not line.lstrip().startswith("#"):
            return lines[above - 1].lstrip().startswith("#") or _continues(lines, above)
    return False


def test_every_value_is_in_the_readme_of_the_chart() -> None:
    page = (CHART / "README.md").read_text(encoding="utf-8")
    text = VALUES.read_text(encoding="utf-8")
    named = [path for path, _, _ in explained(text)]
    assert len(named) > 100
    assert len(named) == text.count("# -- ")
    for path in named:
        assert f"| `{path.replace('services.discovery.', 'services.NAME.')}` |" in page


def test_the_values_of_all_services_have_the_same_keys() -> None:
    services = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == set(WORKLOADS)
    assert len({tuple(values) for values in services.values()}) == 1
