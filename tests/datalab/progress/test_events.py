"""Server-sent events over TCP: what is told, to whom, and how it ends."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from datalab.clock import now_us
from datalab.domain.asked import State
from datalab.routes import progress
from datalab.waiting import LONGEST_PAUSE_S, OF_ONE_USER
from tests.datalab.api.calling import SESSIONS, asked, made, operations
from tests.datalab.progress.following import change, compute, following
from tests.support.lab import RunningLab, running_lab

WITHIN_S = 30.0


def test_a_stream_begins_with_how_everything_is(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    first, second = (asked(me, session, threshold=value)["id"] for value in (1, 2))
    change(lab, first, state=State.FAILED, message="no WCS", progress=0.25)

    with following(me, session) as stream:
        told = stream.take(2)

    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.answer.headers["cache-control"] == "no-store"
    assert {one["id"]: one for one in told} == {
        first: {"id": first, "status": "FAILED", "operation_progress": 0.25, "message": "no WCS"},
        second: {"id": second, "status": "PENDING", "operation_progress": 0.0, "message": ""},
    }


def test_progress_and_the_end_are_told_as_they_come(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=3)["id"]

    with following(me, session) as stream:
        stream.take(1)
        for done in (0.25, 0.5):
            compute(lab, number, state=State.IN_PROGRESS, progress=done)
            (told,) = stream.take(1)
            assert (told["status"], told["operation_progress"]) == ("IN_PROGRESS", done)
        change(lab, number, state=State.COMPLETED, progress=1.0)
        (last,) = stream.take(1)

    assert last == {"id": number, "status": "COMPLETED", "operation_progress": 1.0, "message": ""}


def test_progress_never_goes_backwards(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=4)["id"]
    compute(lab, number, state=State.IN_PROGRESS, progress=0.5)

    with following(me, session) as stream:
        told = stream.take(1)
        compute(lab, number, state=State.PENDING, progress=0.1)  # its worker died
        lab.do(_a_while())
        compute(lab, number, state=State.IN_PROGRESS, progress=0.75)
        told += stream.until(operation_progress=0.75)

    assert [one["operation_progress"] for one in told] == [0.5, 0.5, 0.75]
    assert [one["status"] for one in told] == ["IN_PROGRESS", "PENDING", "IN_PROGRESS"]


def test_what_is_asked_for_meanwhile_is_told(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]

    with following(me, session) as stream:
        number = asked(me, session, threshold=5)["id"]
        (new,) = stream.take(1)
        change(lab, number, state=State.COMPLETED, progress=1.0, ended_us=now_us())
        (done,) = stream.take(1)
        again = asked(me, session, threshold=5)["id"]

        assert (new["id"], new["status"]) == (number, "PENDING")
        assert (done["id"], done["status"]) == (number, "COMPLETED")
        assert stream.take(1)[0]["id"] == again


def test_a_cancelled_operation_has_failed_and_can_begin_anew(me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=6)["id"]

    with following(me, session) as stream:
        stream.take(1)
        me.post(f"{operations(session)}{number}/cancel/")
        (cancelled,) = stream.take(1)
        me.post(f"{operations(session)}{number}/retry/")
        (again,) = stream.take(1)

    assert (cancelled["status"], cancelled["message"]) == ("FAILED", "Cancelled.")
    assert (again["status"], again["message"]) == ("PENDING", "")


def test_a_deleted_operation_is_told(me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=7)["id"]

    with following(me, session) as stream:
        stream.take(1)
        me.delete(f"{operations(session)}{number}/")
        found = [stream.next()]
        while found[-1][0] != "deleted":  # it may be seen cancelled before it goes
            found.append(stream.next())

    assert found[-1] == ("deleted", {"id": number})


def test_the_stream_of_one_operation_ends_with_it(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number, other = (asked(me, session, threshold=value)["id"] for value in (8, 9))

    with following(me, session, number) as stream:
        stream.take(1)
        change(lab, other, state=State.FAILED, message="not this one", ended_us=now_us())
        change(lab, number, state=State.FAILED, message="no WCS", ended_us=now_us())
        rest = stream.rest()

    with following(me, session, number) as late:
        assert late.rest() == rest
    assert [data["message"] for _, data in rest] == ["no WCS"]


def test_whoever_connects_again_misses_nothing(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=10)["id"]
    with following(me, session) as stream:
        stream.take(1)
    change(lab, number, state=State.COMPLETED, progress=1.0)

    with following(me, session) as again:
        assert again.take(1)[0]["status"] == "COMPLETED"


def test_a_silent_stream_stays_alive_and_ends_with_its_session(
    me: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.1)
    session = made(me)["id"]

    with following(me, session) as stream:
        assert next(line for line in stream.lines if line.startswith(":")) == ": keep-alive"
        me.delete(f"{SESSIONS}{session}/")
        assert stream.rest() == []


def test_others_sessions_cannot_be_followed(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session, threshold=11)["id"]
    other, stranger = lab.user(), lab.client()
    mine = made(other)["id"]

    for path in (f"{SESSIONS}{session}/events/", f"{operations(session)}{number}/events/"):
        assert other.get(path).status_code == 404
        assert stranger.get(path).status_code == 401
        assert stranger.get(path, params={"token": "x"}).status_code == 400
    assert other.get(f"{operations(mine)}{number}/events/").status_code == 404


def test_so_many_streams_of_one_user_and_no_more(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    asked(me, session, threshold=12)

    with ExitStack() as stack:
        streams = [stack.enter_context(following(me, session)) for _ in range(OF_ONE_USER)]
        assert all(stream.take(1) for stream in streams)
        refused = me.get(f"{SESSIONS}{session}/events/")
        assert lab.user().get(SESSIONS).status_code == 200

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    lab.do(_a_while())
    with following(me, session) as stream:
        assert stream.take(1)


def test_streams_and_long_polls_end_when_the_service_does(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads, ExitStack() as stack:
        with running_lab(tmp_path) as lab:
            me = lab.user()
            session = made(me)["id"]
            number = asked(me, session)["id"]
            own = stack.enter_context(
                httpx.Client(base_url=lab.url, headers=me.headers, timeout=WITHIN_S, verify=False)
            )
            followed = threads.submit(_followed, own, session)
            wait = f"{operations(session)}{number}/wait/"
            waited = threads.submit(own.get, wait, params={"timeout": 60})
            lab.do(_a_while())

        assert waited.result(WITHIN_S).json()["status"] == "PENDING"
        assert [data["id"] for _, data in followed.result(WITHIN_S)] == [number]


async def _a_while() -> None:
    await asyncio.sleep(2 * LONGEST_PAUSE_S)


def _followed(client: httpx.Client, session: int) -> list[tuple[str, dict[str, object]]]:
    with following(client, session) as stream:
        return stream.rest()
