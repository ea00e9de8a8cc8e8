"""A name that is taken: nothing is ever overwritten, and nothing is kept twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flightline.nextcloud_simulator.faults import Rule
from mover.domain.moves import MoveState
from tests.mover.conftest import ROOT, UNSORTED, Sorting, opened
from tests.support.dav_servers.running import RunningDav


async def test_defect_412_for_ever_other_content_gets_a_number(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg", b"an older picture")
    sorting.put("a.jpg", "ai:cats", content=b"a newer picture")

    report = await sorting.run()

    assert report.moved == 1
    assert sorting.stored.get(f"{ROOT}/cats/a.jpg") == b"an older picture"
    assert sorting.stored.get(f"{ROOT}/cats/a (2).jpg") == b"a newer picture"
    assert sorting.stored.tags_of(f"{ROOT}/cats/a (2).jpg") == set()


async def test_numbers_that_are_taken_are_passed_over(sorting: Sorting) -> None:
    for number, name in enumerate(("a.jpg", "a (2).jpg", "a (3).jpg")):
        sorting.stored.put(f"{ROOT}/cats/{name}", f"picture {number}".encode())
    sorting.put("a.jpg", "ai:cats", content=b"picture 9")

    await sorting.run()

    assert sorting.stored.get(f"{ROOT}/cats/a (4).jpg") == b"picture 9"


async def test_the_same_size_is_not_the_same_content(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg", b"picture A")
    sorting.put("a.jpg", "ai:cats", content=b"picture B")

    await sorting.run()

    assert sorting.sorted_names() == {"cats/a.jpg", "cats/a (2).jpg"}


async def test_a_copy_of_what_is_there_goes_to_the_trash(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg", b"the same")
    sorting.put("a.jpg", "ai:cats", content=b"the same")

    report = await sorting.run()

    assert (report.moved, report.duplicates) == (0, 1)
    assert sorting.sorted_names() == {"cats/a.jpg"}
    assert sorting.unsorted_names() == set()
    (line,) = await sorting.lines()
    assert (line.state, line.target) == (MoveState.DUPLICATE, f"{ROOT}/cats/a.jpg")


async def test_a_copy_of_a_numbered_file_is_a_copy_too(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg", b"another")
    sorting.stored.put(f"{ROOT}/cats/a (2).jpg", b"the same")
    sorting.put("a.jpg", "ai:cats", content=b"the same")

    report = await sorting.run()

    assert report.duplicates == 1
    assert sorting.sorted_names() == {"cats/a.jpg", "cats/a (2).jpg"}


async def test_a_claimed_checksum_proves_nothing(cloud: RunningDav, tmp_path: Path) -> None:
    """OC-Checksum is stored and told, but never checked: two files may claim the same one."""
    if cloud.simulator is None:
        return
    async with opened(cloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        sorting.stored.put(f"{ROOT}/cats/a.jpg", b"picture A")
        sorting.put("a.jpg", "ai:cats", content=b"picture B")
        for path in (f"{ROOT}/cats/a.jpg", f"{UNSORTED}/a.jpg"):
            cloud.simulator.tree.existing(path)
            cloud.simulator.tree.index.set_checksum(path, "SHA256:" + "0" * 64)

        report = await sorting.run()

    assert (report.moved, report.duplicates) == (1, 0)
    assert cloud.stored.names(ROOT) == {"cats/a.jpg", "cats/a (2).jpg"}


async def test_a_server_without_hashes_is_asked_for_the_content(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    assert nextcloud.simulator is not None
    nextcloud.simulator.checks_content = False
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        sorting.stored.put(f"{ROOT}/cats/a.jpg", b"the same")
        sorting.put("a.jpg", "ai:cats", content=b"the same")

        report = await sorting.run()

    assert report.duplicates == 1
    assert nextcloud.simulator.calls["GET"] == 2


async def test_copies_stay_where_that_is_wanted_and_are_not_compared_again(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    assert nextcloud.simulator is not None
    async with opened(nextcloud, tmp_path / "home", duplicates="keep", repair_every=timedelta()) as sorting:
        sorting.stored.put(f"{ROOT}/cats/a.jpg", b"the same")
        sorting.put("a.jpg", "ai:cats", content=b"the same")
        await sorting.run()
        nextcloud.simulator.calls.clear()

        report = await sorting.run()

        assert await sorting.left() == {"a.jpg": "duplicate"}
    assert report.left == 1
    assert sum(nextcloud.simulator.calls.values()) == 1
    assert nextcloud.stored.tags_of(f"{UNSORTED}/a.jpg") == {"ai:cats"}


async def test_a_kept_copy_is_moved_once_what_it_copies_is_gone_and_its_tags_change(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    async with opened(nextcloud, tmp_path / "home", duplicates="keep", repair_every=timedelta()) as sorting:
        sorting.stored.put(f"{ROOT}/cats/a.jpg", b"the same")
        sorting.put("a.jpg", "ai:cats", content=b"the same")
        await sorting.run()
        sorting.stored.remove(f"{ROOT}/cats/a.jpg")
        sorting.stored.tag(f"{UNSORTED}/a.jpg", "seen")

        report = await sorting.run()

    assert report.moved == 1
    assert nextcloud.stored.names(ROOT) == {"cats/a.jpg"}


async def test_a_folder_of_that_name_is_other_content(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg/inside", b"")
    sorting.put("a.jpg", "ai:cats")

    await sorting.run()

    assert sorting.sorted_names() == {"cats/a.jpg/inside", "cats/a (2).jpg"}


async def test_a_file_in_the_place_of_a_category_leaves_the_image(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats", b"no folder")
    sorting.put("a.jpg", "ai:cats")

    await sorting.run()

    assert await sorting.left() == {"a.jpg": "refused"}
    assert sorting.stored.get(f"{ROOT}/cats") == b"no folder"


async def test_empty_files_of_one_name_are_copies(sorting: Sorting) -> None:
    sorting.stored.put(f"{ROOT}/cats/a.jpg", b"")
    sorting.put("a.jpg", "ai:cats", content=b"")

    report = await sorting.run()

    assert report.duplicates == 1


async def test_a_copy_that_was_replaced_meanwhile_stays(nextcloud: RunningDav, tmp_path: Path) -> None:
    assert nextcloud.simulator is not None
    async with opened(nextcloud, tmp_path / "home", repair_every=timedelta()) as sorting:
        sorting.stored.put(f"{ROOT}/cats/a.jpg", b"the same")
        sorting.put("a.jpg", "ai:cats", content=b"the same")
        nextcloud.simulator.faults.add(Rule(method="DELETE", status=412, times=None))

        report = await sorting.run()

        assert (report.duplicates, report.moved) == (0, 0)
        assert await sorting.lines() == []
    assert nextcloud.stored.get(f"{UNSORTED}/a.jpg") == b"the same"
