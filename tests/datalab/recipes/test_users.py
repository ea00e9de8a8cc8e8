"""A user who is removed leaves no recipes to somebody else of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest

from datalab.administering.command import administer
from tests.datalab.recipes.calling import RECIPES, step, written
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import running_lab
from tests.support.logs import restored_logging


def test_recipes_go_with_their_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    with running_lab(tmp_path, known=REGISTRY) as lab:
        written(lab.user("carl"), step("Sum"))

        with restored_logging():
            refused = administer(["users", "remove", "carl"])
            removed = administer(["users", "remove", "carl", "--with-data"])

        assert (refused, removed) == (1, 0)
        assert lab.user("carl").get(RECIPES).json()["count"] == 0
