from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from odm_gateway.domain.tasks import (
    Status,
    Task,
    advanced,
    begun,
    canceled,
    ended,
    handed_back,
    removed,
    restarted,
    tidied,
    too_many_images,
)
from shared.events import Option

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=90)


def task(**changes: Any) -> Task:
    facts = {
        "id": "t",
        "name": "",
        "created_at": NOW,
        "inserted_us": round(NOW.timestamp() * 1e6),
        "images": "p",
    }
    return Task.model_validate({**facts, **changes})


def test_a_new_task_is_shown_as_running_for_a_moment() -> None:
    assert task().shown_status(NOW) is Status.RUNNING
    assert task().shown_status(LATER) is Status.QUEUED


def test_an_empty_name_becomes_the_time_of_creation() -> None:
    assert task().shown_name == "Task of 2026-05-01T12:00:00.000Z"


def test_processing_time_ticks_from_the_first_run_on() -> None:
    running = begun(task(), NOW)
    assert task().processing_ms(LATER) == -1
    assert begun(handed_back(running), LATER).processing_ms(LATER) == 90_000


def test_only_work_that_was_not_handed_back_counts_as_a_crash() -> None:
    running = begun(task(), NOW)
    assert begun(running, LATER).crashes == 1
    assert begun(handed_back(running), LATER).crashes == 0


def test_getting_further_than_before_makes_up_for_crashes() -> None:
    crashed = begun(advanced(begun(task(), NOW), "a", 40), LATER)
    assert advanced(crashed, "a", 40).crashes == 1
    assert advanced(crashed, "b", 41).crashes == 0


def test_progress_never_goes_back() -> None:
    assert advanced(advanced(task(), "a", 40), "b", 30).progress == 40


@pytest.mark.parametrize("end", [Status.COMPLETED, Status.FAILED])
def test_progress_is_100_at_every_end(end: Any) -> None:
    assert ended(begun(task(), NOW), end, LATER).progress == 100


def test_cancel_of_running_work_waits_but_shows_at_once() -> None:
    running = canceled(begun(task(), NOW), NOW)
    assert running.status is Status.RUNNING
    assert (running.shown_status(NOW), running.processing_ms(NOW)) == (Status.CANCELED, -1)


def test_a_promised_cancel_beats_success() -> None:
    promised = canceled(begun(task(), NOW), NOW)
    assert ended(promised, Status.COMPLETED, LATER, assets=("all.zip",)).status is Status.CANCELED


@pytest.mark.parametrize("end", [Status.COMPLETED, Status.FAILED, Status.CANCELED])
def test_finished_tasks_can_be_canceled_and_keep_their_products(end: Any) -> None:
    done = ended(begun(task(), NOW), end, NOW, error="e", assets=("all.zip",))
    after = canceled(done, LATER)
    assert (after.status, after.error, after.assets) == (Status.CANCELED, None, ("all.zip",))


def test_removing_a_queued_task_ends_it_first() -> None:
    gone = removed(task(), NOW)
    assert (gone.status, gone.removing, gone.untidy) == (Status.CANCELED, True, True)


@pytest.mark.parametrize(("count", "at_most", "refused"), [(5, None, False), (5, 5, False), (6, 5, True)])
def test_more_images_than_allowed_are_refused(count: int, at_most: int | None, refused: bool) -> None:
    assert (too_many_images(count, at_most) is not None) is refused


def done(**changes: Any) -> Task:
    return ended(begun(task(**changes), NOW), Status.COMPLETED, NOW, assets=("all.zip",), summary={"gsd": 2})


def test_q4_a_restart_keeps_id_and_place_and_begins_anew() -> None:
    before = done(run=3)
    again = restarted(before, LATER)
    assert again is not None
    assert (again.id, again.inserted_us, again.attempt) == (before.id, before.inserted_us, 2)
    assert (again.shown_status(LATER), again.progress, again.processing_ms(LATER)) == (Status.QUEUED, 0, -1)
    assert (again.created_at, again.assets, again.summary, again.run) == (LATER, (), {}, before.run + 1)


def test_a_restart_does_not_rename_a_task_that_was_named_after_its_time() -> None:
    again = restarted(done(), LATER)
    assert again is not None
    assert again.shown_name == task().shown_name


@pytest.mark.parametrize("options", [None, (Option(name="dtm", value=True),)])
def test_a_restart_takes_new_options_or_keeps_the_old(options: tuple[Option, ...] | None) -> None:
    old = (Option(name="dsm", value=True),)
    again = restarted(done(options=old), LATER, options)
    assert again is not None
    assert again.options == (options or old)


def test_open_tasks_and_those_on_their_way_out_are_not_restarted() -> None:
    running = begun(task(), NOW)
    for one in (task(), running, canceled(running, NOW), removed(done(), NOW)):
        assert restarted(one, LATER) is None


def test_products_of_earlier_attempts_are_remembered_once() -> None:
    first = restarted(done(), LATER)
    assert first is not None
    second = restarted(ended(begun(first, NOW), Status.COMPLETED, NOW, assets=("all.zip", "a")), LATER)
    assert second is not None
    assert second.earlier_assets == ("all.zip", "a")


def test_a_restart_while_it_is_tidied_up_behind_leaves_the_new_attempt_to_be_tidied() -> None:
    again = restarted(done(), LATER)
    assert again is not None
    assert (tidied(again, 1).untidy, tidied(done(), 1).untidy) == (True, False)


def test_a_task_expires_some_time_after_its_end() -> None:
    assert done().expires_at(timedelta(seconds=90)) == LATER
    assert done().expires_at(None) is done().expires_at(timedelta()) is task().expires_at(LATER - NOW) is None


def test_only_work_counts_against_the_longest_run() -> None:
    running = begun(task(), NOW)
    assert running.is_overdue(LATER, timedelta(seconds=89))
    assert not running.is_overdue(LATER, timedelta(seconds=90))
    assert not running.is_overdue(LATER, None)
    assert not task().is_overdue(LATER, timedelta(seconds=1))
