"""Alerts and dashboards are about metrics that there are, and fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import mover.sorting
import mover.tally
import odm_gateway.adapters.argo.reflector
import scaler.metrics
import shared.messaging.consumer
import shared.messaging.metrics
import shared.service.loops
import shared.service.readiness
import shared.service.requests
from flightline.chart.__main__ import CHART
from tests.deploy.helm.rendering import of_kind, rendered, services
from tests.support.debian import ensure_installed

METRICS_OF = (
    mover.sorting,
    mover.tally,
    odm_gateway.adapters.argo.reflector,
    scaler.metrics,
    shared.messaging.metrics,
    shared.service.loops,
    shared.service.readiness,
    shared.service.requests,
)
RULES = CHART / "files" / "alerts.yaml"
CASES = Path(__file__).parent / "alerts-test.yaml"
NAME = re.compile(r"\b(flightline_[a-z_]+)\b(?!\s*\()")
SUFFIXES = re.compile(r"_(?:total|bucket|count|sum)$")
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]


def metrics() -> set[str]:
    assert METRICS_OF
    return {metric.name for metric in REGISTRY.collect()}


def named(expression: str) -> set[str]:
    return {SUFFIXES.sub("", name) for name in NAME.findall(expression)}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_about_metrics_that_there_are(alert: dict[str, Any]) -> None:
    assert named(alert["expr"])
    assert named(alert["expr"]) <= metrics()


@pytest.mark.parametrize(
    "path", sorted((CHART / "files" / "dashboards").glob("*.json")), ids=lambda path: path.stem
)
def test_a_dashboard_shows_metrics_that_there_are(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(shown) >= 8
    for expression in shown:
        assert named(expression)
        assert named(expression) <= metrics()


def test_dead_letters_are_counted_for_every_reason() -> None:
    [alert] = [each for each in ALERTS if each["alert"] == "FlightlineDeadLetters"]
    [reasons] = re.findall(r'outcome=~"([^"]+)"', alert["expr"])
    code = Path(shared.messaging.consumer.__file__).read_text(encoding="utf-8")
    body = code.split("def _reason(")[1].split("\n\n\n")[0]
    assert set(reasons.split("|")) == set(re.findall(r'return "([a-z_]+)"', body))


def test_every_service_is_looked_at_once_by_its_service_or_its_pod() -> None:
    looked_at: list[str] = []
    for kind, there in (("ServiceMonitor", "Service"), ("PodMonitor", "Deployment")):
        [monitor] = of_kind(rendered("production"), kind).values()
        [_, names] = monitor["spec"]["selector"]["matchExpressions"]
        assert set(names["values"]) <= set(of_kind(rendered("production"), there))
        looked_at += names["values"]
    assert sorted(looked_at) == sorted(services(rendered("production")))


def test_the_rules_of_the_chart_are_those_that_are_tested() -> None:
    [rule] = of_kind(rendered("production"), "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    ensure_installed("promtool", "prometheus")
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    tested = {rule["alertname"] for case in cases["tests"] for rule in case["alert_rule_test"]}
    assert tested == {alert["alert"] for alert in ALERTS}
    (tmp_path / "alerts.yaml").write_bytes(RULES.read_bytes())
    (tmp_path / "test.yaml").write_bytes(CASES.read_bytes())
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
