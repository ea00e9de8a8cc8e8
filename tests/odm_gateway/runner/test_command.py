import json
from pathlib import Path
from typing import Any

import pytest

from odm_gateway.runner.command import command_line, sidecars, splits
from odm_gateway.runner.workspace import RefusedError, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path.resolve())
    workspace.images.mkdir()
    return workspace


def called(workspace: Workspace, *command: str, beside: tuple[str, ...] = (), **options: Any) -> list[str]:
    for name in beside:
        (workspace.images / name).touch()
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in options.items()]
    (workspace.folder / "job.json").write_text(json.dumps({"options": named}))
    return command_line(command or ("run.py",), workspace)


def test_flags_have_no_value_and_false_ones_are_left_out(workspace: Workspace) -> None:
    assert called(workspace, dsm=True, dtm=False, rerun_from="") == [
        "run.py", "--dsm", "--project-path", str(workspace.folder), "project",
    ]  # fmt: skip


def test_a_value_that_looks_like_a_flag_stays_a_value(workspace: Workspace) -> None:
    assert "--boundary=--copy-to=/etc" in called(workspace, boundary="--copy-to=/etc")


@pytest.mark.parametrize(
    "name", ["--dsm", "Dsm", "dsm dtm", "", "-x", "project-path", "copy-to", "gcp", "dsm\n"]
)
def test_what_is_no_option_is_refused(workspace: Workspace, name: str) -> None:
    (workspace.folder / "job.json").write_text(json.dumps({"options": [{"name": name, "value": True}]}))
    with pytest.raises(RefusedError, match="no option of a task"):
        command_line(("run.py",), workspace)


def test_files_beside_the_images_are_named(workspace: Workspace) -> None:
    arguments = called(
        workspace, beside=("GCP_list.txt", "geo.txt", "image_groups.txt", "align.laz", "a.jpg")
    )
    folder = workspace.images
    assert arguments[1:5] == [
        f"--gcp={folder}/GCP_list.txt", f"--geo={folder}/geo.txt",
        f"--split-image-groups={folder}/image_groups.txt", f"--align={folder}/align.laz",
    ]  # fmt: skip


def test_another_text_is_taken_for_control_points(workspace: Workspace) -> None:
    (workspace.images / "points.txt").touch()
    assert sidecars(workspace.images) == [("--gcp", "points.txt")]


def test_a_container_sees_the_workspace_elsewhere(workspace: Workspace) -> None:
    arguments = called(
        workspace, "docker", "run", "-v", "{workspace}:/datasets", "odm", "--project-path", "/datasets",
        beside=("geo.txt",),
    )  # fmt: skip
    assert arguments[3] == f"{workspace.folder}:/datasets"
    assert arguments[-2:] == ["--geo=/datasets/images/geo.txt", "project"]
    assert arguments.count("--project-path") == 1


def test_a_command_may_name_the_project_itself(workspace: Workspace) -> None:
    arguments = called(workspace, "run.sh", "--project-path={workspace}", "{project}")
    assert arguments == ["run.sh", f"--project-path={workspace.folder}", "project"]


def test_a_value_too_long_for_an_argument_comes_as_a_file(workspace: Workspace) -> None:
    boundary = json.dumps({"coordinates": [[1.5, 2.5]] * 20_000})
    arguments = called(workspace, boundary=boundary)
    path = workspace.project / "boundary.json"
    assert f"--boundary={path}" in arguments
    assert path.read_text() == boundary


@pytest.mark.parametrize(
    ("split", "is_so"), [("--split=400", True), ("--split=999999", False), ("-x", False)]
)
def test_a_split_is_noticed(split: str, *, is_so: bool) -> None:
    assert splits(["run.py", split]) is is_so
