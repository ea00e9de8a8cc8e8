"""Metrics are named by convention, and the page has them all."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flightline.chart.__main__ import CHART
from flightline.docs.__main__ import ROOT
from flightline.docs.metrics_page import LABELS, MODULES, described, metrics_page
from tests.support.metric_labels import BOUNDS

EVERY = described()
USES = re.compile(
    r"^from prometheus_client import .*\b(?:Counter|Gauge|Histogram|Summary|Info|Enum)\b", re.MULTILINE
)
NAME = re.compile(r"\bflightline_[a-z_]+\b")
SUFFIX = re.compile(r"_(?:bucket|count|sum)$")
GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")
MATCHED = re.compile(r"([a-z_]+) *(?:=~|!~|!=|=) *\"")
OF_THE_CLUSTER = {"namespace", "pod", "le"}


def expressions() -> list[str]:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for path in sorted((CHART / "files" / "dashboards").glob("*.json")):
        board: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found += [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return found


def test_every_module_that_defines_metrics_is_on_the_page() -> None:
    folders = (ROOT / "shared" / "src", *(ROOT / "services").glob("*/src"), ROOT / "deploy" / "local" / "src")
    defining = {path for folder in folders for path in folder.rglob("*.py") if USES.search(path.read_text())}
    listed = set()
    for name in (name for names in MODULES.values() for name in names):
        spec = importlib.util.find_spec(name)
        assert spec
        listed.add(Path(str(spec.origin)))

    assert defining == listed


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_metric_is_named_by_convention(metric: Any) -> None:
    assert re.fullmatch(r"flightline(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or metric.name.endswith(("_seconds", "_bytes"))
    assert metric.help.endswith(".")
    assert set(metric.labels) <= LABELS.keys()


def test_no_name_is_given_twice_and_no_label_explained_in_vain() -> None:
    names = [metric.name for metric in EVERY]
    assert len(set(names)) == len(names)
    assert {label for metric in EVERY for label in metric.labels} == LABELS.keys() == BOUNDS.keys() - {"le"}
    assert all(f"`{name}`" in metrics_page() for name in names)


def test_alerts_and_dashboards_stand_on_metrics_and_labels_that_there_are() -> None:
    labels = {metric.name: set(metric.labels) for metric in EVERY}
    asked = expressions()
    assert len(asked) > 20
    for expression in asked:
        bare = expression.replace("$namespace", "")
        used = {name if name in labels else SUFFIX.sub("", name) for name in NAME.findall(bare)}
        assert used
        assert used <= labels.keys(), expression
        by = {label.strip() for group in GROUPED.findall(bare) for label in group.split(",")}
        by |= set(MATCHED.findall(bare))
        assert by - OF_THE_CLUSTER <= set.union(*(labels[name] for name in used)), expression
