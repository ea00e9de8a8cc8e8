"""What tests of recipes have in common."""

from __future__ import annotations

import time
from typing import Any

import httpx

RECIPES = "/api/recipes/"
RUNS = "/api/recipes/runs/"
WITHIN_S = 60.0
ENDS = ("COMPLETED", "FAILED")
INPUTS = {"from": "inputs"}

Json = dict[str, Any]


def step(operation: str, name: str | None = None, files: Any = INPUTS, **parameters: Any) -> Json:
    """Return a step whose input files are a reference, or a list of them."""
    called = {} if name is None else {"name": name}
    given = files if isinstance(files, list) else [files]
    return {**called, "operation": operation, "input_data": {"input_files": given, **parameters}}


def from_step(name: str | int, **more: Any) -> Json:
    """Return a reference to a step's files."""
    return {"from": name, **more}


def written(client: httpx.Client, *steps: Json, name: str = "recipe") -> Json:
    """Write a recipe."""
    answer = client.post(RECIPES, json={"name": name, "steps": steps})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def applied(client: httpx.Client, recipe: Json, session: int, **files: Any) -> Json:
    """Apply a recipe."""
    answer = client.post(f"{RECIPES}{recipe['id']}/apply/", json={"session": session, **files})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def run_of(client: httpx.Client, run: Json) -> Json:
    """Read a run."""
    answer = client.get(f"{RUNS}{run['id']}/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(client: httpx.Client, run: Json, within_s: float = WITHIN_S) -> Json:
    """Wait until a run has ended; meanwhile its progress never falls."""
    ends_at_s, progress = time.monotonic() + within_s, run["progress"]
    while (shown := run_of(client, run))["status"] not in ENDS:
        assert time.monotonic() < ends_at_s, shown
        assert progress <= shown["progress"] <= 1
        progress = shown["progress"]
        time.sleep(0.05)
    assert progress <= shown["progress"] <= 1
    return shown


def statuses(run: Json) -> list[str]:
    """Return the status of each step."""
    return [one["status"] for one in run["steps"]]
