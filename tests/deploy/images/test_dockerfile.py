"""The Dockerfile is what the services, the chart and the workflows take it for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from flightline.chart.services import WORKLOADS
from tests.deploy.images.dockerfile import ROOT, copied, ignored, is_sent, ours

IMAGES = {"flightline", *(workload.command[0] for workload in WORKLOADS.values())}
LABELS = {
    "title",
    "description",
    "source",
    "documentation",
    "licenses",
    "version",
    "revision",
    "created",
    "base.name",
}


def members() -> dict[str, Any]:
    projects = [tomllib.loads(path.read_text()) for path in ROOT.glob("*/*/pyproject.toml")]
    return {project["project"]["name"]: project["project"] for project in projects}


def sent_files() -> list[str]:
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git says which files are ours")
    listing = subprocess.run([git, "-C", str(ROOT), "ls-files"], capture_output=True, check=True, text=True)
    return [name for name in listing.stdout.splitlines() if is_sent(name, ignored())]


def test_all_that_is_copied_is_there_and_is_seen_by_the_build() -> None:
    sent = sent_files()

    assert copied()
    assert [name for name in copied() if not any(f"{one}/".startswith(f"{name}/") for one in sent)] == []


def test_the_build_sees_nothing_but_what_is_copied() -> None:
    needless = [one for one in sent_files() if not any(f"{one}/".startswith(f"{name}/") for name in copied())]

    assert needless == []


@pytest.mark.parametrize(
    "path", [".env", ".git/config", ".venv/bin/python", "build/demo/x.jpg", "tests/conftest.py", "key.pem"]
)
def test_what_lies_about_does_not_get_into_an_image(path: str) -> None:
    assert not is_sent(path, ignored())


def test_every_image_is_a_package_with_a_command_of_its_name() -> None:
    assert {name for name in IMAGES if name not in members()[name].get("scripts", {})} == set()


def test_the_same_images_are_built_everywhere() -> None:
    makefile = re.search(r"^IMAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "images.yaml").read_text())["jobs"]
    scripts = {
        name: set(found[1].split())
        for name, expression in {
            "publish-chart": r"for service in ([a-z -]+);",
            "cluster": r"SERVICES=\(([a-z -]+)\)",
        }.items()
        if (found := re.search(expression, (ROOT / ".github" / "scripts" / name).read_text()))
    }

    assert makefile
    assert set(makefile[1].split()) == IMAGES
    assert {name: set(workflow[name]["strategy"]["matrix"]["service"]) for name in ("build", "publish")} == {
        "build": IMAGES,
        "publish": IMAGES,
    }
    assert scripts == {"publish-chart": IMAGES, "cluster": IMAGES}


def test_it_is_labelled_and_runs_as_a_user_that_kubernetes_can_check() -> None:
    last = [one for one in ours() if one.stage == max(each.stage for each in ours())]
    labels = {
        name
        for one in last
        if one.word == "LABEL"
        for name in re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", one.rest)
    }

    assert labels == LABELS
    assert [one.rest for one in last if one.word == "USER"] == ["10001:10001"]
    assert [one.rest for one in last if one.word == "ENTRYPOINT"] == ['["/app/bin/service"]']
    assert not any(one.word == "CMD" for one in last)


def test_both_stages_begin_with_the_one_base_that_can_be_given_by_digest() -> None:
    argument = next(one.rest for one in ours() if one.stage < 0 and one.word == "ARG")

    assert argument.startswith("PYTHON=docker.io/library/python:3.")
    assert [one.words[0] for one in ours() if one.word == "FROM"] == ["${PYTHON}", "${PYTHON}"]


def test_the_version_is_the_same_wherever_it_stands() -> None:
    versions = {name: project["version"] for name, project in members().items()}
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "deploy/helm/flightline/Chart.yaml").read_text())
    compose = set(re.findall(r"image: flightline/\S+:(\S+)", (ROOT / "compose.yaml").read_text()))

    assert set(versions.values()) == {root}
    assert (chart["version"], chart["appVersion"], compose) == (root, root, {root})
    assert f"value: flightline/odm-gateway:{root}\n" in (ROOT / "deploy/argo/odm-standard.yaml").read_text()
    assert f"VERSION={root}" in [one.rest for one in ours() if one.word == "ARG"]
    assert f"IMAGE = flightline/$(SERVICE):{root}" in (ROOT / "Makefile").read_text()
