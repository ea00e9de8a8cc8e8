"""The page on what proves the operations names all of them, and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from datalab.analysis.actions import MODULES
from datalab.operations.registry import registry

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parents[1] / "docs" / "datalab-operations.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(?:tests/datalab/)?([a-z_/]+\.py)::(test_\w+)`", PAGE)))


def rows(heading: str) -> dict[str, str]:
    """Return the rows of a chapter's table by what stands first, without what is behind a comma."""
    chapter = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in chapter.splitlines() if line.startswith("| ")]
    return {cells[0].split(",")[0]: cells[-1] for cells in found[1:] if not cells[0].startswith("—")}


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [("Operations", {operation.name for operation in registry()}), ("Analysis", set(MODULES))],
)
def test_all_there_is_is_named_with_a_test_that_proves_it(heading: str, wanted: set[str]) -> None:
    found = rows(heading)

    assert set(found) == wanted
    assert [name for name, tests in found.items() if "::test_" not in tests] == []


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_the_tests_that_it_names_are_there(file: str, test: str) -> None:
    tree = ast.parse((TESTS / file).read_text("utf-8"))

    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_it_names_some() -> None:
    assert len(NAMED) > 20
