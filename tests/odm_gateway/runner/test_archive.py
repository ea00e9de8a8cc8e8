import zipfile
from pathlib import Path

import pytest

from odm_gateway.runner.archive import products, write_archive
from odm_gateway.runner.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path.resolve() / "workspace")
    workspace.images.mkdir(parents=True)
    return workspace


def make(workspace: Workspace, *paths: str) -> None:
    for path in paths:
        (workspace.project / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace.project / path).write_text(path)


def test_the_usual_products_are_taken_and_what_lies_between_is_not(workspace: Workspace) -> None:
    make(
        workspace,
        "odm_dem/dsm.tif",
        "odm_dem/tiles.vrt",
        "odm_texturing/a/b.png",
        "opensfm/x",
        "log.json",
        "all.zip",
    )
    assert products(workspace, ()) == ["log.json", "odm_dem/dsm.tif", "odm_texturing/a/b.png"]


def test_what_a_client_wants_may_be_folders_and_may_be_missing(workspace: Workspace) -> None:
    make(workspace, "opensfm/matches/a.gz", "opensfm/matches/b.gz", "opensfm/features/c.npz", "log.json")
    assert products(workspace, ["opensfm/matches", "log.json", "nothing"]) == [
        "log.json", "opensfm/matches/a.gz", "opensfm/matches/b.gz",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "output", ["../outside", "../../outside", "/outside", "a/../../outside", "../workspace2/x"]
)
def test_paths_that_climb_stay_in_the_project(workspace: Workspace, output: str) -> None:
    workspace.project.mkdir()
    (workspace.folder / "outside").write_text("secret")
    (workspace.folder.parent / "outside").write_text("secret")
    assert products(workspace, [output]) == []
    make(workspace, "outside")
    assert products(workspace, [output]) == (["outside"] if "workspace2" not in output else [])


def test_links_out_of_the_workspace_are_left_out(workspace: Workspace, tmp_path: Path) -> None:
    make(workspace, "odm_report/report.pdf")
    (tmp_path / "secret").write_text("secret")
    (workspace.project / "odm_report/link.txt").symlink_to(tmp_path / "secret")
    (workspace.project / "odm_report/folder").symlink_to(tmp_path, target_is_directory=True)
    (workspace.project / "odm_texturing").symlink_to(tmp_path, target_is_directory=True)
    assert products(workspace, ()) == ["odm_report/report.pdf"]


def test_images_can_be_wanted_though_they_are_links(workspace: Workspace) -> None:
    (workspace.images / "a.jpg").write_text("image")
    (workspace.project / "images").mkdir(parents=True)
    (workspace.project / "images/a.jpg").symlink_to(Path("../../images/a.jpg"))
    write_archive(workspace, products(workspace, ["images"]), lambda: None)
    with zipfile.ZipFile(workspace.archive) as archive:
        assert archive.read("images/a.jpg") == b"image"


def test_an_interrupted_archive_leaves_the_old_one(workspace: Workspace) -> None:
    make(workspace, "all.zip", "log.json", "cameras.json")
    checks = iter([None])
    with pytest.raises(StopIteration):
        write_archive(workspace, ["log.json", "cameras.json"], lambda: next(checks))
    assert workspace.archive.read_text() == "all.zip"


@pytest.mark.long
def test_neither_4_gib_nor_65536_entries_are_a_limit(workspace: Workspace) -> None:
    pieces = [f"orthophoto_tiles/{number}.png" for number in range(66_000)]
    make(workspace, "odm_dem/dsm.tif", *pieces)
    with (workspace.project / "odm_dem/dsm.tif").open("r+b") as file:
        file.truncate((4 << 30) + 5)
    write_archive(workspace, ["odm_dem/dsm.tif", *pieces], lambda: None)
    with zipfile.ZipFile(workspace.archive) as archive:
        assert len(archive.infolist()) == 66_001
        assert archive.getinfo("odm_dem/dsm.tif").file_size == (4 << 30) + 5
        assert archive.read(pieces[-1]) == pieces[-1].encode()
