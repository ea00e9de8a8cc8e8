"""What the user's and administrator's page says is true."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from datalab import waiting
from datalab.accounts import TOKENS_AT_MOST
from datalab.analysis import asking
from datalab.config import Settings
from datalab.domain import recipes, runs
from datalab.domain.sessions import INPUT_AT_MOST_BYTES, ITEMS_AT_MOST, NAME_AT_MOST_CHARACTERS
from datalab.main import create_app
from datalab.routes.operations import IDS_AT_MOST

PAGE = Path(__file__).parents[3] / "docs" / "datalab.md"
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"))
FIXED = {
    "input data of a session": (ITEMS_AT_MOST, f"{INPUT_AT_MOST_BYTES >> 20} MiB"),
    "a name": (NAME_AT_MOST_CHARACTERS,),
    "ids in a bulk delete": (IDS_AT_MOST,),
    "tokens that a user has by logging in": (TOKENS_AT_MOST,),
    "those who wait or follow": (waiting.OF_ONE_USER, waiting.ALTOGETHER),
    "questions about files at a time": (asking.AT_ONCE, asking.WAITING_AT_MOST),
    "steps of a recipe; sets, files and steps of a run": (
        recipes.STEPS_AT_MOST,
        runs.SETS_AT_MOST,
        runs.FILES_AT_MOST,
        runs.STEPS_AT_MOST,
    ),
}


@pytest.fixture(scope="module")
def limits() -> list[list[str]]:
    """Return the rows of the page's table of limits."""
    chapter = PAGE.read_text(encoding="utf-8").partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in chapter.splitlines() if line.startswith("| ")]
    return [[cell.strip(" |") for cell in row] for row in rows[1:]]


def _written(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 3600:g} h"
    if isinstance(value, int):
        unit = next(((size, name) for size, name in UNITS if value >= size and value % size == 0), None)
        return f"{value // unit[0]} {unit[1]}" if unit else f"{value:,}"
    return str(value)


def test_limits_are_those_of_the_settings(limits: list[list[str]]) -> None:
    named = 0
    for _, told, *settings in limits:
        for name in re.findall(r"`DATALAB_(\w+)`", " ".join(settings)):
            default = Settings.model_fields[name.lower()].default
            assert _written(default) in told, name
            named += 1
    assert named == 9


def test_limits_that_cannot_be_set_are_those_of_the_code(limits: list[list[str]]) -> None:
    told = {row[0]: row[1] for row in limits}

    for row, values in FIXED.items():
        for value in values:
            assert re.search(rf"(?<!\d){_written(value)}(?!\d)", told[row]), (row, value)


def test_paths_of_the_page_are_routes() -> None:
    paths = {re.sub("{[^}]*}", "{id}", path) for path in create_app(Settings()).openapi()["paths"]}
    page = PAGE.read_text(encoding="utf-8")

    named = {
        re.sub("{[^}]*}", "{id}", path)
        for path in re.findall(r"`[A-Z]* ?(/(?:api|authprofile)/[^`?]*)`", page)
    }

    assert named
    assert {path for path in named if path != "/api/admin/"} <= paths | {"/api/analysis/{id}/"}
