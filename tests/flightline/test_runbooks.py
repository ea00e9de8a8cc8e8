"""Every alert leads to a runbook that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "helm" / "flightline" / "files" / "alerts.yaml"
PARTS = ("**Means**", "**See**", "**Over**")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def chapters(page: Path) -> dict[str, str]:
    """Return the text of each chapter of a page by the anchor of its heading."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-"): body
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    }


def test_there_are_alerts() -> None:
    assert len(alerts()) > 5


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_leads_to_its_runbook(alert: dict[str, Any]) -> None:
    place = alert["annotations"].get("runbook") or alert["annotations"]["runbook_url"]
    path, _, anchor = place.partition("#")

    chapter = chapters(ROOT / path[path.index("docs/") :])[anchor]

    assert [part for part in PARTS if part not in chapter] == []
