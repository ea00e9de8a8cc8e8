from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from discovery.domain.flights import (
    RUNS_KEPT,
    Flight,
    FlightState,
    Listing,
    announced,
    completed,
    observed,
    staged,
    unreadable,
    wanting,
)
from discovery.domain.stages import viewed
from shared.events import FlightFound, FlightOptions, ImagesStaged, Scale, TaskCompleted

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SETTLE = timedelta(seconds=30)
ONE = [("v1", 0)]
TWICE = [("v1", 0), ("v1", 30)]
FAST = FlightOptions.model_validate({"process": [{"name": "fast-orthophoto", "value": True}]})


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def flight(**changes: Any) -> Flight:
    facts = {"flight_id": "f", "name": "f", "source": "file:///f", "created_at": NOW, "updated_at": NOW}
    return Flight.model_validate({**facts, **changes})


def listing(version: str, seconds: float, images: int = 3) -> Listing:
    return Listing(version=version, seen_at=at(seconds), image_count=images, total_bytes=images)


def seen(before: Flight, *looks: tuple[str, float]) -> tuple[Flight, list[FlightFound]]:
    """Return the flight after looks at its source, and what was told of it."""
    told = []
    for version, seconds in looks:
        before = observed(before, listing(version, seconds))
        if news := announced(before, SETTLE):
            before = news[0]
            told.append(news[1])
    return before, told


def found(version: str = "v1", **changes: Any) -> Flight:
    """Return a flight whose version was told of."""
    return seen(flight(**changes), (version, 0), (version, 30))[0]


def images_staged(version: str = "v1", **more: Any) -> ImagesStaged:
    facts = {"flight_id": "f", "prefix": "s3://b/p", "image_count": 3, "total_bytes": 3}
    return ImagesStaged.model_validate({**facts, "version": version, **more})


def task_completed(
    status: Literal["completed", "failed", "canceled"] = "completed", version: str = "v1", **more: Any
) -> TaskCompleted:
    facts = {"task_id": "t", "kind": "odm", "name": "f", "finished_at": at(90), "flight_id": "f"}
    return TaskCompleted.model_validate({**facts, "status": status, "version": version, **more})


def versions(told: list[FlightFound]) -> list[tuple[str, int]]:
    return [(event.version, event.rerun) for event in told]


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([("v1", 0)], []),
        ([("v1", 0), ("v1", 29)], []),
        ([("v1", 0), ("v1", 30)], ONE),
        ([("v1", 0), ("v1", 30), ("v1", 60), ("v1", 900)], ONE),
        ([("v1", 0), ("v2", 29), ("v3", 58), ("v4", 87)], []),
        ([("v1", 0), ("v2", 29), ("v2", 58)], []),
        ([("v1", 0), ("v2", 29), ("v2", 59)], [("v2", 0)]),
        ([("v1", 0), ("v1", 30), ("v2", 60), ("v2", 90)], [*ONE, ("v2", 0)]),
        ([("v1", 0), ("v1", 30), ("v2", 60), ("v1", 70), ("v1", 100)], ONE),
        (
            [("v1", 0), ("v1", 30), ("v2", 60), ("v2", 90), ("v1", 99), ("v1", 130)],
            [*ONE, ("v2", 0), ("v1", 1)],
        ),
    ],
)
def test_a_version_is_told_once_when_it_has_settled(
    looks: list[tuple[str, float]], told: list[tuple[str, int]]
) -> None:
    assert versions(seen(flight(), *looks)[1]) == told


def test_a_flight_without_images_is_never_told_of() -> None:
    empty = observed(observed(flight(), listing("v", 0, images=0)), listing("v", 60, images=0))

    assert announced(empty, SETTLE) is None


def test_what_is_told_is_what_was_seen() -> None:
    _, (event,) = seen(flight(images_path="code/images", owner="ann"), ("v1", 0), ("v1", 30))

    assert (event.flight_id, event.source, event.images_path) == ("f", "file:///f", "code/images")
    assert (event.image_count, event.total_bytes, event.owner) == (3, 3, "ann")


def test_a_version_that_changes_back_unsettled_keeps_its_state() -> None:
    done = completed(found(), task_completed())
    wavering, _ = seen(done, ("v2", 100))
    back, told = seen(wavering, ("v1", 110))

    assert wavering.state is FlightState.SETTLING
    assert (back.state, told) == (FlightState.COMPLETED, [])


@pytest.mark.parametrize(
    ("status", "options", "reruns"),
    [
        ("completed", FlightOptions(), []),
        ("completed", FAST, [("v1", 1)]),
        ("failed", FlightOptions(), [("v1", 1)]),
        ("canceled", FlightOptions(), [("v1", 1)]),
    ],
)
def test_asking_again_runs_what_was_not_answered(
    status: Literal["completed", "failed", "canceled"],
    options: FlightOptions,
    reruns: list[tuple[str, int]],
) -> None:
    done = completed(found(), task_completed(status))
    after, told = seen(wanting(done, options, at(100)), ("v1", 130), ("v1", 160))

    assert versions(told) == reruns
    assert all(event.options == options for event in told)
    assert len(after.runs) == 1 + len(reruns)


def test_asking_for_what_is_on_its_way_changes_nothing() -> None:
    _, told = seen(wanting(found(), FlightOptions(), at(31)), ("v1", 60), ("v1", 90))

    assert told == []


def test_a_number_of_a_rerun_is_never_used_twice() -> None:
    current, numbers = found(), {0}
    for turn in range(2 * RUNS_KEPT):
        done = completed(current, task_completed("failed", rerun=max(numbers)))
        asked = wanting(done, FlightOptions(), at(100 * turn))
        current, (event,) = seen(asked, ("v1", 100 * turn + 60))
        assert event.rerun not in numbers
        numbers.add(event.rerun)

    assert len(current.runs) == RUNS_KEPT


def test_a_forgotten_version_comes_back_with_a_new_number() -> None:
    current = found("old")
    for turn in range(1, RUNS_KEPT + 5):
        current, _ = seen(current, (f"v{turn}", 100 * turn), (f"v{turn}", 100 * turn + 60))
    _, (event,) = seen(current, ("old", 9000), ("old", 9060))

    assert event.rerun > 0


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (images_staged(), FlightState.PROCESSING),
        (images_staged(scale=Scale(requested=2)), FlightState.SCALING),
        (images_staged(scale=Scale(requested=2, applied=2)), FlightState.PROCESSING),
        (images_staged(options=FlightOptions(skip_processing=True)), FlightState.STAGED),
    ],
)
def test_staged_images_move_the_flight_on(event: ImagesStaged, state: FlightState) -> None:
    after = staged(found(), event, at(40))

    assert after.state is state
    assert after.run is not None
    assert after.run.staged_at == at(40)


@pytest.mark.parametrize("status", ["completed", "failed", "canceled"])
def test_a_task_that_ended_ends_the_flight(status: Literal["completed", "failed", "canceled"]) -> None:
    after = completed(found(), task_completed(status, outputs="s3://b/o", assets=("all.zip",)))

    assert after.state is FlightState(status)
    assert after.run is not None
    assert (after.run.task_id, after.run.assets) == ("t", ("all.zip",))


def test_staged_images_told_late_do_not_reopen_a_flight() -> None:
    done = completed(found(), task_completed())

    assert staged(done, images_staged(), at(99)).state is FlightState.COMPLETED


def test_a_wish_to_scale_told_late_does_not_undo_scaling() -> None:
    scaled = staged(found(), images_staged(scale=Scale(requested=2, applied=2)), at(40))

    assert staged(scaled, images_staged(scale=Scale(requested=2)), at(41)).state is FlightState.PROCESSING


def test_news_of_an_old_run_leave_the_new_one_alone() -> None:
    renewed, _ = seen(found(), ("v2", 60), ("v2", 90))
    after = completed(renewed, task_completed("failed", version="v1", error="bad"))

    assert after.state is FlightState.STAGING
    assert [(run.version, run.state.value) for run in after.runs] == [("v1", "failed"), ("v2", "staging")]


@pytest.mark.parametrize("version", ["v1", "unknown"])
def test_news_leave_a_version_that_settles_to_be_told(version: str) -> None:
    settling, _ = seen(found(), ("v2", 60))
    after = completed(settling, task_completed(version=version))

    assert after.state is FlightState.SETTLING
    assert versions(seen(after, ("v2", 90))[1]) == [("v2", 0)]


@pytest.mark.parametrize("rerun", [0, 3])
def test_a_flight_announced_from_outside_gets_a_run(rerun: int) -> None:
    after = staged(flight(), images_staged("mine", rerun=rerun), at(1))

    assert after.state is FlightState.PROCESSING
    assert [(run.version, run.rerun) for run in after.runs] == [("mine", rerun)]


def test_trouble_with_the_source_is_kept_until_it_is_over() -> None:
    troubled = unreadable(found(), "no route to host", at(60))

    assert troubled.trouble == "no route to host"
    assert observed(troubled, listing("v1", 90)).trouble is None


def test_what_somebody_else_processes_is_only_staged() -> None:
    settled = seen(flight(wanted=FAST), ("v1", 0))[0]
    news = announced(observed(settled, listing("v1", 30)), SETTLE, processed_elsewhere=True)
    assert news is not None
    assert news[1].options == FAST.model_copy(update={"skip_processing": True})
    assert wanting(news[0], FAST, at(31)).again is False


def test_a_staging_that_failed_and_is_tried_again_goes_on() -> None:
    failed = completed(found(), task_completed("failed", kind="ingest", error="no room"))
    assert failed.state is FlightState.FAILED
    again = staged(failed, images_staged(), at(60))
    assert (again.state, again.run.error if again.run else "") == (FlightState.PROCESSING, None)


def test_the_news_of_a_failed_staging_may_come_after_those_of_the_next_try() -> None:
    again = staged(found(), images_staged(), at(60))
    assert completed(again, task_completed("failed", kind="ingest", error="no room")) == again


DOUBLED = FlightOptions(scale=2)


def to_be_scaled(*, applied: float | None = None) -> ImagesStaged:
    return images_staged(scale={"requested": 2, "applied": applied}, options=DOUBLED)


def test_a_flight_to_be_scaled_is_scaling_until_scaled_images_are_staged() -> None:
    scaling = staged(found(wanted=DOUBLED), to_be_scaled(), at(60))
    scaled = staged(scaling, to_be_scaled(applied=2), at(70))
    assert (scaling.state, scaled.state) == (FlightState.SCALING, FlightState.PROCESSING)
    assert scaled.run is not None
    assert (scaled.run.staged_at, scaled.run.scaled_at) == (at(60), at(70))
    assert [(one.name, one.state) for one in viewed(scaling).stages[1:]] == [
        ("staged", "done"), ("scaled", "under way"), ("processed", "waiting"),
    ]  # fmt: skip
    assert [one.state for one in viewed(scaled).stages] == ["done", "done", "done", "under way"]


def test_a_scaling_that_failed_is_told_and_one_that_is_tried_again_goes_on() -> None:
    scaling = staged(found(wanted=DOUBLED), to_be_scaled(), at(60))
    failed = completed(scaling, task_completed("failed", kind="scaler", error="no image fits"))
    again = staged(failed, to_be_scaled(applied=2), at(80))
    assert (failed.state, again.state) == (FlightState.FAILED, FlightState.PROCESSING)
    assert [(one.state, one.error) for one in viewed(failed).stages[2:]] == [
        ("failed", "no image fits"), ("waiting", None),
    ]  # fmt: skip


def test_news_of_scaling_may_come_in_any_order() -> None:
    failure = task_completed("failed", kind="scaler", error="no image fits")
    scaled = staged(found(wanted=DOUBLED), to_be_scaled(applied=2), at(80))
    assert completed(scaled, failure) == scaled
    assert staged(scaled, to_be_scaled(), at(81)) == scaled
    failed = completed(found(wanted=DOUBLED), failure)
    assert staged(failed, to_be_scaled(), at(81)).state is FlightState.FAILED
