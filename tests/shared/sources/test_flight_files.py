from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sources import Entry, flight_id, read_flight, version_of
from shared.sources.folder import FolderSource

ENTRIES = st.lists(
    st.builds(Entry, path=st.text(min_size=1), size_bytes=st.integers(0, 2**50), token=st.text()),
    unique_by=lambda entry: entry.path,
    min_size=1,
)


@given(ENTRIES, st.randoms())
def test_a_version_does_not_depend_on_the_order(entries: list[Entry], random: Random) -> None:
    shuffled = random.sample(entries, len(entries))

    assert version_of(shuffled) == version_of(entries)


@given(ENTRIES, st.integers(0, 2))
def test_a_version_changes_with_each_field(entries: list[Entry], field: int) -> None:
    first = entries[0]
    changed = (
        replace(first, path=first.path + "x"),
        replace(first, size_bytes=first.size_bytes + 1),
        replace(first, token=first.token + "x"),
    )[field]

    assert version_of([changed, *entries[1:]]) != version_of(entries)


@given(ENTRIES)
def test_a_version_changes_with_each_file(entries: list[Entry]) -> None:
    assert version_of(entries[1:]) != version_of(entries)


def test_a_version_does_not_mix_up_neighbouring_fields() -> None:
    assert version_of([Entry("a", 1, "1")]) != version_of([Entry("a", 11, "")])


@pytest.fixture
def flight(tmp_path: Path) -> Path:
    images = tmp_path / "code" / "images"
    images.mkdir(parents=True)
    for name in ("b.JPG", "a.jpeg", ".hidden.jpg", "notes.txt", "geo.txt"):
        (images / name).write_bytes(name.encode())
    (images / "folder.jpg").mkdir()
    (images / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "code" / "gcp_list.txt").write_bytes(b"gcp")
    return tmp_path


async def test_images_are_the_visible_jpegs(flight: Path) -> None:
    files = await read_flight(FolderSource(flight), "code/images")

    assert [entry.path for entry in files.images] == ["code/images/a.jpeg", "code/images/b.JPG"]
    assert files.total_bytes == len("a.jpeg" + "b.JPG")


async def test_sidecars_are_beside_the_images_or_above_them(flight: Path) -> None:
    files = await read_flight(FolderSource(flight), "code/images")

    assert [entry.path for entry in files.sidecars] == ["code/gcp_list.txt", "code/images/geo.txt"]


async def test_what_is_named_like_an_image_and_is_none_is_told(flight: Path) -> None:
    files = await read_flight(FolderSource(flight), "code/images")

    assert {(item.path, item.reason) for item in files.skipped} == {
        ("code/images/folder.jpg", "a folder named like an image"),
        ("code/images/gone.jpg", "link to nowhere"),
    }


async def test_another_sidecar_makes_another_version(flight: Path) -> None:
    before = await read_flight(FolderSource(flight), "code/images")
    (flight / "code" / "gcp_list.txt").write_bytes(b"other")

    assert (await read_flight(FolderSource(flight), "code/images")).version != before.version


def test_a_place_has_one_id_however_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "a" / "images").mkdir(parents=True)
    ids = {
        flight_id(FolderSource(tmp_path), "a/images"),
        flight_id(FolderSource(tmp_path / "a"), "images"),
        flight_id(FolderSource(tmp_path / "a" / "images"), ""),
    }

    assert len(ids) == 1
    assert flight_id(FolderSource(tmp_path), "a") not in ids
