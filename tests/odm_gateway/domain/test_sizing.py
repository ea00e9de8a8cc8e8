from dataclasses import replace
from datetime import timedelta

import pytest

from odm_gateway.domain.sizing import GIB, Limits, Size, size_of
from shared.events import Option

LIMITS = Limits(memory_gib=(4, 2_000), cores=1_000)


def size(images: int, total_bytes: int = 0, **options: str | float | bool) -> Size:
    asked = [Option(name=name.replace("_", "-"), value=value) for name, value in options.items()]
    return size_of(images, total_bytes, asked, LIMITS)


@pytest.mark.parametrize(
    ("images", "peak_gib"), [(40, 18), (200, 25), (500, 37), (1_000, 58), (5_000, 227), (12_000, 800)]
)
def test_the_first_limit_is_a_fifth_above_the_measured_peak(images: int, peak_gib: int) -> None:
    assert size(images).memory_gib[0] == pytest.approx(peak_gib * 1.2, abs=1)


def test_between_two_figures_memory_grows_evenly() -> None:
    assert size(350).memory_gib[0] == pytest.approx((25 + 37) / 2 * 1.2, abs=1)


def test_beyond_the_table_memory_goes_on_growing() -> None:
    assert size(14_000).memory_gib[0] > size(12_000).memory_gib[0] + 150


def test_every_rung_has_half_as_much_again_up_to_the_most() -> None:
    assert size_of(1_000, 0, [], Limits(memory_gib=(4, 128))).memory_gib == (70, 105, 128, 128)


def test_no_job_gets_less_than_the_least() -> None:
    assert size_of(1, 0, [], Limits(memory_gib=(16, 256))).memory_gib[0] == 16


def test_products_decide_over_memory_and_disk() -> None:
    fast, usual, surfaces = size(1_000, fast_orthophoto=True), size(1_000), size(1_000, dsm=True)
    assert [kind.memory_gib[0] for kind in (fast, usual, surfaces)] == [35, 70, 105]
    assert [kind.disk_gib for kind in (fast, usual, surfaces)] == [75, 100, 150]


def test_a_switch_that_is_off_changes_nothing() -> None:
    assert size(1_000, dsm=False, fast_orthophoto="false") == size(1_000)


def test_surfaces_weigh_more_than_haste() -> None:
    assert size(1_000, fast_orthophoto=True, dtm="true") == size(1_000, dtm=True)


def test_large_files_need_disk() -> None:
    assert size(100, 50 * GIB).disk_gib == 400


def test_small_jobs_get_the_least_disk_and_huge_ones_the_most() -> None:
    assert (size(3).disk_gib, size(3, 10_000 * GIB).disk_gib) == (30, 1_024)


def test_there_is_a_core_for_every_eight_gib_up_to_the_most() -> None:
    assert size(1_000).cores == 9
    assert size_of(1_000, 0, [], Limits(memory_gib=(4, 256), cores=4)).cores == 4


@pytest.mark.parametrize("count", [0, -1])
def test_files_that_nobody_counted_are_counted_by_their_size(count: int) -> None:
    assert size(count, 1_000 * 8_000_000) == size(1_000, 1_000 * 8_000_000)


def test_a_split_job_needs_memory_for_its_parts() -> None:
    assert size(5_000, split=250).memory_gib == size(500).memory_gib
    assert size(5_000, split=999_999).memory_gib == size(5_000).memory_gib
    assert size(5_000, split=0).memory_gib == size(5_000).memory_gib


def test_days_of_work_are_not_put_on_spot_nodes() -> None:
    assert (size(4_999).capacity, size(5_000).capacity) == ("spot", "on-demand")


@pytest.mark.parametrize(
    ("limit", "images", "capacity"), [(0, 1, "on-demand"), (50, 49, "spot"), (50, 50, "on-demand")]
)
def test_an_operator_decides_what_is_too_long_for_spot_nodes(limit: int, images: int, capacity: str) -> None:
    limits = replace(LIMITS, on_demand_from_images=limit)
    assert size_of(images, 0, (), limits).capacity == capacity


def test_a_small_place_cuts_both_limits() -> None:
    assert LIMITS.within(None) == LIMITS
    assert LIMITS.within(64).memory_gib == (4, 64)
    assert LIMITS.within(2).memory_gib == (2, 2)


def test_the_deadline_grows_with_the_images_up_to_the_most() -> None:
    assert size(0).deadline == timedelta(hours=6)
    assert size(300).deadline == timedelta(hours=16)
    assert size(100_000).deadline == timedelta(hours=48)
