"""Alerts and dashboards are about metrics that there are, and fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flightline.chart.__main__ import CHART
from flightline.docs.metrics_page import described
from tests.deploy.helm.rendering import of_kind, rendered, services
from tests.support.debian import ensure_installed

RULES = CHART / "files" / "alerts.yaml"
CASES = Path(__file__).parent / "alerts-test.yaml"
NAME = re.compile(r"\b(flightline_[a-z_]+)\b")
SERIES = re.compile(r"_(?:bucket|count|sum)$")
OF_TARGETS = {"namespace", "pod", "le"}
"""Labels that Prometheus adds, and that of the buckets of histograms."""
OF_EVERY_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]


def check(expression: str) -> None:
    """See that an expression names metrics and labels that there are."""
    known = {each.name: each for each in described()}
    named = [SERIES.sub("", name) for name in NAME.findall(expression)]
    assert set(named) <= set(known)
    assert named or any(name in expression for name in OF_EVERY_PROCESS)
    labels = {label for name in named for label in known[name].labels} | OF_TARGETS
    grouped = {each.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for each in by.split(",")}
    chosen = set(re.findall(r"([a-z]+)=~?\"", expression))
    assert grouped | chosen <= labels


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_about_metrics_that_there_are(alert: dict[str, Any]) -> None:
    check(alert["expr"])


@pytest.mark.parametrize(
    "path", sorted((CHART / "files" / "dashboards").glob("*.json")), ids=lambda path: path.stem
)
def test_a_dashboard_shows_metrics_that_there_are(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(shown) >= 6
    for expression in shown:
        assert 'namespace="$namespace"' in expression
        check(expression)


def test_every_metric_is_on_some_dashboard() -> None:
    shown = "".join(path.read_text() for path in (CHART / "files" / "dashboards").glob("*.json"))
    assert [each.name for each in described() if each.name not in shown] == []


def test_a_metric_or_label_that_is_not_there_would_be_noticed() -> None:
    for wrong in (
        "sum(flightline_nothing_total)",
        "sum by (flight) (flightline_ready)",
        'flightline_ready{tenant="a"}',
    ):
        with pytest.raises(AssertionError):
            check(wrong)


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
