from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mover.domain.reports import Report
from mover.domain.schedule import LONGEST_WAIT, Schedule, failed, ran

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EVERY = timedelta(seconds=30)
REPORT = Report(started_at=NOW)


def test_the_first_run_is_due_at_once() -> None:
    assert Schedule().is_due(NOW, EVERY)


def test_the_next_run_is_due_after_the_frequency() -> None:
    schedule = ran(Schedule(), REPORT)

    assert not schedule.is_due(NOW + timedelta(seconds=29), EVERY)
    assert schedule.is_due(NOW + timedelta(seconds=30), EVERY)


def test_each_failure_waits_longer_up_to_a_limit() -> None:
    schedule, waits = Schedule(), []
    for _ in range(8):
        schedule = failed(schedule, REPORT, "503", now=NOW, every=EVERY)
        waits.append(schedule.due_in_s(NOW, EVERY))

    assert 24 <= waits[0] <= 36
    assert 96 <= waits[2] <= 144
    assert max(waits) <= LONGEST_WAIT.total_seconds() * 1.2
    assert schedule.failures == 8


def test_what_the_server_asks_for_is_waited_for() -> None:
    schedule = failed(Schedule(), REPORT, "429", now=NOW, every=EVERY, at_least=timedelta(hours=2))

    assert schedule.due_in_s(NOW, EVERY) == 7200


def test_after_a_refused_login_the_longest_wait_comes_at_once() -> None:
    schedule = failed(Schedule(), REPORT, "401", now=NOW, every=EVERY, is_hopeless=True)

    assert schedule.due_in_s(NOW, EVERY) >= LONGEST_WAIT.total_seconds() * 0.8


def test_a_run_that_goes_well_ends_the_waiting() -> None:
    schedule = ran(failed(Schedule(), REPORT, "503", now=NOW, every=EVERY), REPORT)

    assert (schedule.failures, schedule.trouble, schedule.not_before_s) == (0, None, 0.0)


def test_stale_tags_are_looked_for_first_and_then_rarely() -> None:
    hour = timedelta(hours=1)
    repaired = ran(Schedule(), REPORT, repaired_at_s=NOW.timestamp())

    assert Schedule().is_repair_due(NOW, hour)
    assert not repaired.is_repair_due(NOW + timedelta(minutes=59), hour)
    assert repaired.is_repair_due(NOW + hour, hour)
    assert not Schedule().is_repair_due(NOW, timedelta())
