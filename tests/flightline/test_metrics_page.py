"""Metrics are named by convention, and the page has them all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from flightline.docs.__main__ import ROOT
from flightline.docs.metrics_page import LABELS, MODULES, described, metrics_page
from tests.support.metric_labels import BOUNDS

EVERY = described()
USES = re.compile(
    r"^from prometheus_client import .*\b(?:Counter|Gauge|Histogram|Summary|Info|Enum)\b", re.MULTILINE
)


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
