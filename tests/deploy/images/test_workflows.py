"""The public workflows name what exists, may do little, and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm.rendering import overlay, profile, render
from tests.deploy.images.dockerfile import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yaml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
WRITES = {("images", "publish"), ("chart", "publish")}
"""Jobs that run on tags alone."""


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield path.stem, name, job


def commands() -> list[str]:
    steps = [step for _, _, job in jobs() for step in job["steps"] if "run" in step]
    return [line.strip() for step in steps for line in step["run"].splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)

    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_an_action_is_everywhere_the_same() -> None:
    used = {action for path in WORKFLOWS for action in re.findall(r"uses: (\S+)@", path.read_text())}
    pinned = {action for path in WORKFLOWS for action in re.findall(r"uses: (\S+@\S+)", path.read_text())}

    assert len(pinned) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_and_does_not_pile_up(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())

    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]


def test_every_job_ends_and_says_what_it_may() -> None:
    told = {(workflow, name): job["permissions"] for workflow, name, job in jobs()}
    writing = {key for key, permissions in told.items() if set(permissions.values()) != {"read"}}

    assert [name for _, name, job in jobs() if not 0 < job["timeout-minutes"] <= 90] == []
    assert writing == WRITES
    assert {job["if"] for workflow, name, job in jobs() if (workflow, name) in WRITES} == {
        "github.event_name == 'push' && github.ref_type == 'tag'"
    }


def test_every_command_is_a_target_or_a_script_of_ours() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {line.split()[1] for line in commands() if line.startswith("make ")}
    scripts = {word for line in commands() for word in re.findall(r"(?:^|\s)(\.(?:ci|github)/\S+)", line)}

    assert told - targets == set()
    assert scripts
    assert {name for name in scripts if not (ROOT / name).stat().st_mode & 0o111} == set()


def test_nothing_that_others_write_becomes_part_of_a_command() -> None:
    assert [line for line in commands() if "${{" in line] == []


def test_a_checkout_leaves_no_token_behind() -> None:
    checkouts = [
        step
        for _, _, job in jobs()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]

    assert checkouts
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


@pytest.mark.parametrize("name", ["dev", "argo"])
def test_the_chart_takes_the_values_of_the_cluster_workflow(name: str) -> None:
    values = profile("local")
    overlay(values, yaml.safe_load((GITHUB / "cluster" / f"{name}.yaml").read_text()))

    kinds = {document["kind"] for document in render(values)}

    assert {"dev": "ScaledObject", "argo": "RabbitmqCluster"}[name] in kinds
