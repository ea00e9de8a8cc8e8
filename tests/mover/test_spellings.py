"""Tags that are the same to people: other case, blanks around, two of one name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.mover.conftest import ROOT, UNSORTED, Sorting, opened
from tests.support.dav_servers.running import RunningDav


def needs_twins(sorting: Sorting) -> None:
    """Skip the test on a real Nextcloud, which from release 32 on refuses such tags."""
    if sorting.cloud.simulator is None:
        pytest.skip("a Nextcloud may refuse tags that differ in case alone")


async def test_tags_that_differ_in_case_are_one_category_in_one_folder(
    sorting: Sorting,
) -> None:
    sorting.stored.put(f"{ROOT}/cats/old.jpg", b"")
    sorting.put("a.jpg", "AI:Cats")
    sorting.put("b.jpg", " ai:cats ", "ai:CATS")

    report = await sorting.run()

    assert report.moved == 2
    assert sorting.sorted_names() == {"cats/old.jpg", "cats/a.jpg", "cats/b.jpg"}
    assert sorting.stored.tags_of(f"{ROOT}/cats/b.jpg") == set()


async def test_one_run_never_makes_two_folders_that_differ_in_case(sorting: Sorting) -> None:
    needs_twins(sorting)
    sorting.put("a.jpg", "ai:Cats")
    sorting.put("b.jpg", "ai:cats")

    await sorting.run()

    assert len({name.partition("/")[0] for name in sorting.sorted_names()}) == 1


async def test_of_two_tags_with_one_name_both_come_off(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        sorting.put("a.jpg", "ai:cats")
        twin = nextcloud.simulator.new_tag("AI:CATS")
        node = nextcloud.simulator.tree.existing(f"{UNSORTED}/a.jpg")
        nextcloud.simulator.tree.index.assign(node.id, twin.id)

        await sorting.run()

        assert nextcloud.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()


async def test_a_tag_that_only_admins_take_off_moves_nothing(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    nextcloud.simulator.new_tag("ai:cats", is_assignable=False)
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        sorting.put("a.jpg", "ai:cats")

        report = await sorting.run()

        assert (report.moved, report.left) == (0, 1)
        assert await sorting.left() == {"a.jpg": "restricted-tag"}
    assert nextcloud.stored.names(UNSORTED) == {"a.jpg"}


async def test_nested_categories_where_they_are_switched_on(nextcloud: RunningDav, tmp_path: Path) -> None:
    async with opened(
        nextcloud, tmp_path / "home", nested_categories=True, repair_every=timedelta()
    ) as sorting:
        sorting.put("a.jpg", "ai:animals/cats")
        sorting.put("b.jpg", "ai:Animals/dogs")

        report = await sorting.run()

    assert report.moved == 2
    assert nextcloud.stored.names(ROOT) == {"animals/cats/a.jpg", "animals/dogs/b.jpg"}


async def test_defect_double_path_the_folder_may_be_named_within_the_root(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    nextcloud.stored.put("data/AI/_unsorted/a.jpg", b"")
    nextcloud.stored.tag("data/AI/_unsorted/a.jpg", "ai:cats")
    folders = {"images_root_dir": "/data/AI/", "unsorted_remote_dir": "_unsorted"}
    async with opened(nextcloud, tmp_path / "home", settings=folders) as sorting:
        report = await sorting.run()

    assert report.moved == 1
    assert nextcloud.stored.names("data/AI") == {"cats/a.jpg"}


async def test_the_full_name_wins_over_the_one_within_the_root(nextcloud: RunningDav, tmp_path: Path) -> None:
    for folder in ("_unsorted", "data/AI/_unsorted"):
        nextcloud.stored.put(f"{folder}/a.jpg", folder.encode())
        nextcloud.stored.tag(f"{folder}/a.jpg", "ai:cats")
    folders = {"images_root_dir": "data/AI", "unsorted_remote_dir": "_unsorted"}
    async with opened(nextcloud, tmp_path / "home", settings=folders) as sorting:
        await sorting.run()

    assert nextcloud.stored.get("data/AI/cats/a.jpg") == b"_unsorted"
