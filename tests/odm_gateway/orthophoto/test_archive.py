from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from odm_gateway.orthophoto.archive import write_archive

if TYPE_CHECKING:
    from pathlib import Path

ASSETS = {"odm_orthophoto/odm_orthophoto.tif": bytes(range(256)) * 9000, "log.json": b"{}", "empty.txt": b""}


def project(folder: Path) -> Path:
    for name, content in ASSETS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read_back(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        return {name: bundle.read(name) for name in bundle.namelist()}


def test_given_products_when_archived_then_they_are_read_back_equal(tmp_path: Path) -> None:
    write_archive(tmp_path / "all.zip", project(tmp_path), ASSETS)

    assert read_back(tmp_path / "all.zip") == ASSETS


def test_given_products_when_archived_then_they_are_stored_in_order(tmp_path: Path) -> None:
    write_archive(tmp_path / "all.zip", project(tmp_path), reversed(ASSETS))

    with zipfile.ZipFile(tmp_path / "all.zip") as bundle:
        assert bundle.namelist() == sorted(ASSETS)
        assert {entry.compress_type for entry in bundle.infolist()} == {zipfile.ZIP_STORED}


def test_given_sizes_beyond_the_old_limit_when_archived_then_zip64_carries_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    write_archive(tmp_path / "all.zip", project(tmp_path), ASSETS)
    monkeypatch.undo()

    raw = (tmp_path / "all.zip").read_bytes()

    assert b"PK\x06\x06" in raw, "no Zip64 end of central directory"
    assert read_back(tmp_path / "all.zip") == ASSETS


def test_given_a_missing_product_when_archived_then_the_old_archive_stays(tmp_path: Path) -> None:
    write_archive(tmp_path / "all.zip", project(tmp_path), ASSETS)

    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "all.zip", tmp_path, [*ASSETS, "gone.tif"])

    assert read_back(tmp_path / "all.zip") == ASSETS
    assert not list(tmp_path.glob(".*"))


@pytest.mark.long
def test_given_a_product_above_four_gigabytes_when_archived_then_it_is_whole(tmp_path: Path) -> None:
    size_bytes = (4 << 30) + 12_345
    with (tmp_path / "huge.tif").open("wb") as file:
        file.truncate(size_bytes - 4)
        file.seek(size_bytes - 4)
        file.write(b"tail")

    write_archive(tmp_path / "all.zip", tmp_path, ["huge.tif"])

    with zipfile.ZipFile(tmp_path / "all.zip") as bundle, bundle.open("huge.tif") as stored:
        stored.seek(size_bytes - 4)
        assert (bundle.getinfo("huge.tif").file_size, stored.read()) == (size_bytes, b"tail")
