"""Files go into the folders that their tags name, and nothing is lost on the way."""

from __future__ import annotations

import pytest

from mover.domain.moves import MoveState
from tests.mover.conftest import ROOT, UNSORTED, Sorting


async def test_a_tagged_file_goes_to_its_category_and_its_tag_comes_off(sorting: Sorting) -> None:
    sorting.put("meadow.jpg", "ai:landscapes")

    report = await sorting.run()

    assert (report.files, report.moved, report.left) == (2, 1, 0)
    assert sorting.sorted_names() == {"landscapes/meadow.jpg"}
    assert sorting.stored.get(f"{ROOT}/landscapes/meadow.jpg") == b"meadow.jpg"
    assert sorting.stored.tags_of(f"{ROOT}/landscapes/meadow.jpg") == set()
    assert sorting.unsorted_names() == set()


async def test_only_the_tag_that_was_processed_comes_off(sorting: Sorting) -> None:
    sorting.put("cat.jpg", "holiday", "ai:cats", "trai:ning")

    await sorting.run()

    assert sorting.stored.tags_of(f"{ROOT}/cats/cat.jpg") == {"holiday", "trai:ning"}


async def test_defect_first_tag_whatever_it_is_a_file_without_a_tag_of_ours_stays(sorting: Sorting) -> None:
    sorting.put("a.jpg", "holiday")
    sorting.put("b.jpg")

    report = await sorting.run()

    assert report.moved == 0
    assert sorting.unsorted_names() == {"a.jpg", "b.jpg"}
    assert sorting.stored.tags_of(f"{UNSORTED}/a.jpg") == {"holiday"}
    assert await sorting.lines() == []


async def test_defect_prefix_replaced_anywhere_only_the_beginning_of_a_tag_counts(sorting: Sorting) -> None:
    sorting.put("a.jpg", "ai:trai:n")
    sorting.put("b.jpg", "fair:ai:cats")

    await sorting.run()

    assert sorting.sorted_names() == {"trai:n/a.jpg"}
    assert sorting.unsorted_names() == {"b.jpg"}


@pytest.mark.parametrize(
    "tag", ["ai:../../x", "ai:..", "ai:.", "ai:", "ai:  ", "ai:cats/old", "ai:a\\b", "ai:.htaccess", "ai:con"]
)
async def test_defect_traversal_a_tag_that_names_no_folder_moves_nothing(sorting: Sorting, tag: str) -> None:
    sorting.put("a.jpg", tag)
    before = sorting.stored.names()

    report = await sorting.run()

    assert (report.moved, report.left) == (0, 1)
    assert sorting.stored.names() == before
    assert await sorting.left() == {"a.jpg": "invalid-category"}


async def test_defect_no_mkdir_missing_folders_are_made_root_and_all(sorting: Sorting) -> None:
    for name in "abc":
        sorting.put(f"{name}.jpg", f"ai:{name}")

    report = await sorting.run()

    assert report.moved == 3
    assert sorting.sorted_names() == {"a/a.jpg", "b/b.jpg", "c/c.jpg"}


async def test_a_file_of_several_categories_stays_and_is_reported(sorting: Sorting) -> None:
    sorting.put("a.jpg", "ai:cats", "ai:dogs")

    await sorting.run()

    assert sorting.unsorted_names() == {"a.jpg"}
    assert await sorting.left() == {"a.jpg": "several-categories"}


async def test_what_was_left_is_not_told_any_more_once_it_is_moved(sorting: Sorting) -> None:
    sorting.put("a.jpg", "ai:cats", "ai:dogs")
    await sorting.run()
    sorting.stored.remove(f"{UNSORTED}/a.jpg")
    sorting.put("b.jpg", "ai:cats")

    await sorting.run()

    assert await sorting.left() == {}
    assert sorting.sorted_names() == {"cats/b.jpg"}


async def test_the_journal_tells_what_was_moved_where(sorting: Sorting) -> None:
    sorting.put("a.jpg", "ai:cats")

    await sorting.run()

    (line,) = await sorting.lines()
    assert (line.state, line.source, line.target) == (
        MoveState.MOVED,
        f"{UNSORTED}/a.jpg",
        f"{ROOT}/cats/a.jpg",
    )
    assert sorting.told == [line]


async def test_a_run_without_anything_to_do_changes_nothing(sorting: Sorting) -> None:
    sorting.put("a.jpg", "ai:cats")
    await sorting.run()

    report = await sorting.run()

    assert (report.moved, report.failed) == (0, 0)
    assert len(await sorting.lines()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "50% off.jpg",
        "a#b?c&d.jpg",
        "Straße — Überflug.jpg",
        "e\u0301te\u0301.jpg",
        "写真 (1).jpg",
        "x" * 240 + ".jpg",
        "no suffix",
        " leading.jpg",
        "a+b;c=d.jpg",
        "%2e%2e.jpg",
    ],
)
async def test_any_name_is_kept(sorting: Sorting, name: str) -> None:
    sorting.put(name, "ai:cats", content=b"content")

    report = await sorting.run()

    assert (report.moved, [line.reason for line in await sorting.lines(MoveState.LEFT)]) == (1, [])
    assert sorting.sorted_names() == {f"cats/{name}"}


async def test_names_that_differ_in_case_alone_are_two_files(sorting: Sorting) -> None:
    sorting.put("A.jpg", "ai:cats", content=b"1")
    sorting.put("a.jpg", "ai:cats", content=b"2")

    await sorting.run()

    assert sorting.sorted_names() == {"cats/A.jpg", "cats/a.jpg"}
    assert sorting.stored.get(f"{ROOT}/cats/A.jpg") == b"1"
