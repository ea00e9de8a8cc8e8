import stat
import zipfile
from pathlib import Path

import pytest

from odm_gateway.runner.project import link_images, unpack_seed
from odm_gateway.runner.workspace import RefusedError, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path.resolve() / "workspace")
    workspace.images.mkdir(parents=True)
    workspace.project.mkdir()
    return workspace


def send(workspace: Workspace, *names: str) -> None:
    for name in names:
        (workspace.images / name).write_text(name)


def seed(workspace: Workspace, entries: dict[str, str]) -> None:
    with zipfile.ZipFile(workspace.images / "seed.zip", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def seen_images(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.project / "images").iterdir() if path.read_text())


def test_odm_sees_images_and_videos_and_nothing_else(workspace: Workspace) -> None:
    send(workspace, "a.JPG", "b.tif", "c.mp4", "c.srt", "geo.txt", "gcp_list.txt", "align.tif", "x.zip")
    link_images(workspace)
    assert seen_images(workspace) == ["a.JPG", "b.tif", "c.mp4", "c.srt"]


def test_links_hold_wherever_the_workspace_is_mounted(workspace: Workspace) -> None:
    send(workspace, "a.JPG")
    link_images(workspace)
    elsewhere = workspace.folder.rename(workspace.folder.with_name("elsewhere"))
    assert (elsewhere / "project/images/a.JPG").read_text() == "a.JPG"


def test_images_that_are_no_longer_sent_are_no_longer_seen(workspace: Workspace) -> None:
    send(workspace, "a.JPG", "b.JPG")
    link_images(workspace)
    (workspace.images / "a.JPG").unlink()
    (workspace.project / "images/frame_1.jpg").write_text("made by ODM from a video")
    link_images(workspace)
    assert seen_images(workspace) == ["b.JPG", "frame_1.jpg"]


def test_a_seed_is_unpacked_into_the_project(workspace: Workspace) -> None:
    seed(workspace, {"opensfm/exif/a.JPG.exif": "{}", "flag.txt": ""})
    unpack_seed(workspace)
    assert (workspace.project / "opensfm/exif/a.JPG.exif").read_text() == "{}"
    assert not list(workspace.project.rglob("*.partial"))


def test_a_seed_is_unpacked_once(workspace: Workspace) -> None:
    seed(workspace, {"opensfm/reconstruction.json": "[]"})
    unpack_seed(workspace)
    (workspace.project / "opensfm/reconstruction.json").write_text("[1]")
    unpack_seed(workspace)
    assert (workspace.project / "opensfm/reconstruction.json").read_text() == "[1]"


def test_a_seed_that_was_half_unpacked_is_unpacked_again(workspace: Workspace) -> None:
    seed(workspace, {"a": "1", "b": "2"})
    (workspace.project / "a").write_text("ha")
    unpack_seed(workspace)
    assert (workspace.project / "a").read_text() == "1"


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "a//b", "..\\out", "./../out"])
def test_a_seed_that_leads_out_of_its_project_is_refused(workspace: Workspace, name: str) -> None:
    seed(workspace, {"good": "1", name: "2"})
    with pytest.raises(RefusedError, match="leads out of its project"):
        unpack_seed(workspace)
    assert [path.name for path in workspace.project.iterdir()] == []


def test_links_in_a_seed_are_refused(workspace: Workspace) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(workspace.images / "seed.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(RefusedError, match="leads out"):
        unpack_seed(workspace)


def test_a_link_that_is_there_already_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.project / "opensfm").symlink_to(tmp_path, target_is_directory=True)
    seed(workspace, {"opensfm/out": "1"})
    with pytest.raises(RefusedError, match="leads out"):
        unpack_seed(workspace)
    assert not (tmp_path / "out").exists()


def test_a_seed_that_would_fill_the_disk_is_refused(full_disk: Path) -> None:
    workspace = Workspace(full_disk.resolve())
    workspace.images.mkdir()
    workspace.project.mkdir()
    with zipfile.ZipFile(workspace.images / "seed.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("large", b"\0" * (64 << 20))
    with pytest.raises(RefusedError, match="unpacks to 67108864 bytes, and 0 are free"):
        unpack_seed(workspace)
    assert not (workspace.project / "large").exists()


def test_a_seed_with_too_many_entries_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odm_gateway.runner.project.SEED_ENTRIES", 2)
    seed(workspace, {"a": "", "b": "", "c": ""})
    with pytest.raises(RefusedError, match="3 entries, at most 2"):
        unpack_seed(workspace)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 10])
def test_a_damaged_seed_is_refused(workspace: Workspace, content: bytes) -> None:
    (workspace.images / "seed.zip").write_bytes(content)
    with pytest.raises(RefusedError, match=r"seed\.zip cannot be unpacked"):
        unpack_seed(workspace)
