"""Notifications by e-mail and webhook: once per occurrence, retried, and never in the pipeline's way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from discovery.adapters.mail import MailServer, mail_of
from discovery.collections import FLIGHTS, NOTICES
from discovery.config import Settings
from discovery.domain.flights import Flight
from discovery.domain.notifications import (
    EVERY,
    Notice,
    Occasion,
    SendingState,
    Wishes,
    checked_address,
    notice_of,
)
from discovery.notifications import Messenger, Notifications
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.events import Event, FlightFound, ImagesStaged, TaskCompleted, new_event
from shared.events.types import Scale
from shared.messaging.background import background
from shared.platform import Platform
from shared.state import Collection
from shared.webhooks import open_webhooks, signature
from tests.support.events import flight_found
from tests.support.mail import MailBox, mail_server
from tests.support.webhook_receiver import Receiver, webhook_receiver

LADDER = (timedelta(milliseconds=50), timedelta(milliseconds=100))
SECRET = "hush"


@dataclass
class Post:
    """Notifications on a platform, and the loop that sends them."""

    told: Notifications
    messenger: Messenger

    async def notices(self, reached: Callable[[Notice], bool], count: int = 1) -> list[Notice]:
        async with asyncio.timeout(30):
            while True:
                page = await self.messenger.notices.find({})
                found = [document.body for document in page.items if reached(document.body)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def post(
    on: Platform,
    mail: MailBox | None = None,
    *,
    operator: Wishes | None = None,
    allow_private: bool = True,
    **owners: Wishes,
) -> AsyncIterator[Post]:
    await on.store.declare(NOTICES, FLIGHTS)
    server = MailServer(mail.host, mail.port, "f@example.org", "none", within_s=2) if mail else None

    async def wishes_of(owner: str) -> Wishes:
        return owners.get(owner, Wishes())

    async with open_webhooks(
        allow_private=allow_private, secret=SecretStr(SECRET), answer_within_s=2
    ) as hooks:
        notices = Collection(on.store, NOTICES, Notice)
        messenger = Messenger(notices, hooks, server, LADDER)
        queue = messenger.queue()
        told = Notifications(
            notices,
            Collection(on.store, FLIGHTS, Flight),
            wishes_of,
            operator or Wishes(),
            queue.wake,
        )
        async with background(queue.run(messenger.deliver)):
            yield Post(told, messenger)


def found(owner: str = "ann") -> Event[FlightFound]:
    event = flight_found()
    return event.model_copy(update={"data": event.data.model_copy(update={"owner": owner})})


def staged(**fields: Any) -> Event[ImagesStaged]:
    data = ImagesStaged(
        flight_id="f1", version="v1", name="meadow", prefix="s3://b/p", image_count=3, total_bytes=9, **fields
    )
    return new_event("t", data)


def ended(status: str = "completed", **fields: Any) -> Event[TaskCompleted]:
    given: dict[str, Any] = {"task_id": "t1", "kind": "odm", "name": "meadow", "status": status}
    given |= {"finished_at": datetime(2026, 5, 1, tzinfo=UTC), "flight_id": "f1", "version": "v1"}
    return new_event("t", TaskCompleted(**given | fields))


def every(**to: str) -> Wishes:
    return Wishes(occasions=EVERY, **to)


@pytest.fixture
async def mail() -> AsyncIterator[MailBox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def hooked() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


async def known(on: Platform, owner: str = "ann") -> None:
    now = datetime.now(UTC)
    flight = Flight(
        flight_id="f1", name="meadow", source="file:///x", owner=owner, created_at=now, updated_at=now
    )
    await on.store.declare(FLIGHTS)
    await Collection(on.store, FLIGHTS, Flight).ensure("f1", flight)


async def test_an_owner_is_told_of_every_stage_by_mail(platform: Platform, mail: MailBox) -> None:
    await known(platform)
    async with post(platform, mail, ann=every(email="ann@example.org")) as on:
        for event in (found(), staged(), ended(), ended("failed", error="too few images")):
            await on.told.note(event)
        mails = await mail.wait(4)

    assert {str(one["Subject"]) for one in mails} == {
        "Flight meadow was found",
        "Flight meadow is staged",
        "Flight meadow is processed",
        "Flight meadow failed",
    }
    assert {str(one["To"]) for one in mails} == {"ann@example.org"}
    (failed,) = [one for one in mails if "failed" in str(one["Subject"])]
    assert "Error: too few images" in failed.get_content()


async def test_an_event_that_comes_again_is_told_once(platform: Platform, mail: MailBox) -> None:
    event = found()
    async with post(platform, mail, ann=every(email="ann@example.org")) as on:
        for _ in range(3):
            await on.told.note(event)
        await on.told.note(found())  # another event of the same finding
        await mail.wait(1)
        await on.notices(lambda one: not one.waiting)
    assert len(mail.mails) == 1


async def test_preferences_decide_what_is_told(platform: Platform, mail: MailBox) -> None:
    wishes = Wishes(email="ann@example.org", occasions=frozenset({Occasion.FAILED}))
    await known(platform)
    async with post(platform, mail, ann=wishes) as on:
        for event in (found(), staged(), ended(), ended("failed")):
            await on.told.note(event)
        await mail.wait(1)
        assert len(await on.notices(lambda _: True)) == 1
    assert [str(one["Subject"]) for one in mail.mails] == ["Flight meadow failed"]


async def test_the_operators_webhook_hears_signed_words(platform: Platform, hooked: Receiver) -> None:
    async with post(
        platform, operator=every(webhook=f"{hooked.url}/all?key=s3cret"), allow_private=False
    ) as on:
        await on.told.note(found(""))
        (heard,) = await hooked.wait(1)
        (notice,) = await on.notices(lambda one: not one.waiting)

    assert heard.headers["x-flightline-signature"] == signature(SECRET, heard.body)
    assert heard.headers["x-flightline-delivery"] == notice.key
    assert heard.payload["occasion"] == "found"
    assert (heard.payload["flight_id"], heard.payload["image_count"]) == ("f1", 1)
    assert "s3cret" not in json.dumps(heard.payload)


async def test_a_users_webhook_may_not_reach_inside(
    platform: Platform, hooked: Receiver, mail: MailBox
) -> None:
    wishes = every(webhook=f"{hooked.url}/x", email="ann@example.org")
    async with post(platform, mail, ann=wishes, allow_private=False) as on:
        await on.told.note(found())
        (notice,) = await on.notices(lambda one: not one.waiting)

    states = {one.channel: (one.state, one.reason) for one in notice.sendings}
    assert states["email"][0] is SendingState.SENT
    assert states["webhook"][0] is SendingState.DEAD
    assert "not a public address" in (states["webhook"][1] or "")
    assert not hooked.heard


async def test_a_webhook_that_is_down_is_told_later(platform: Platform, hooked: Receiver) -> None:
    hooked.answers = [503, 500]
    async with post(platform, ann=every(webhook=f"{hooked.url}/x")) as on:
        await on.told.note(found())
        heard = await hooked.wait(3)
        (notice,) = await on.notices(lambda one: not one.waiting)

    assert notice.sendings[0].state is SendingState.SENT
    assert len({one.headers["x-flightline-delivery"] for one in heard}) == 1


async def test_what_fails_on_every_rung_is_a_dead_letter_with_a_reason(
    platform: Platform, hooked: Receiver
) -> None:
    hooked.answers = [503] * 9
    async with post(platform, ann=every(webhook=f"{hooked.url}/x?key=s3cret")) as on:
        await on.told.note(found())
        (notice,) = await on.notices(lambda one: not one.waiting)

    (sending,) = notice.sendings
    assert (sending.state, sending.attempts) == (SendingState.DEAD, len(LADDER) + 1)
    assert sending.reason == "The webhook at 127.0.0.1 answered 503"


@pytest.mark.parametrize(
    ("answers", "state", "attempts"),
    [(["451 later"], SendingState.SENT, 2), (["550 nobody"], SendingState.DEAD, 1)],
)
async def test_what_a_mail_server_refuses_for_now_comes_again(
    platform: Platform, mail: MailBox, answers: list[str], state: SendingState, attempts: int
) -> None:
    mail.answers = answers
    async with post(platform, mail, ann=every(email="ann@example.org")) as on:
        await on.told.note(found())
        (notice,) = await on.notices(lambda one: not one.waiting)

    assert (notice.sendings[0].state, notice.sendings[0].attempts) == (state, attempts)


async def test_a_silent_mail_server_keeps_no_event_waiting(platform: Platform, mail: MailBox) -> None:
    mail.silent = True
    async with post(platform, mail, ann=every(email="ann@example.org")) as on:
        began = time.monotonic()
        await on.told.note(found())
        assert time.monotonic() - began < 2  # which is how long the server is waited for
        (notice,) = await on.notices(lambda one: one.sendings[0].attempts > 0)
        assert "cannot be reached: TimeoutError" in (notice.sendings[0].reason or "")
        mail.silent = False
        await mail.wait(1)


async def test_without_a_mail_server_the_setting_is_named(platform: Platform) -> None:
    async with post(platform, ann=every(email="ann@example.org")) as on:
        await on.told.note(found())
        (notice,) = await on.notices(lambda one: not one.waiting)
    assert "DISCOVERY_SMTP_HOST" in (notice.sendings[0].reason or "")


async def test_two_replicas_send_each_notice_once(platform: Platform, mail: MailBox) -> None:
    wishes = every(email="ann@example.org")
    async with post(platform, mail, ann=wishes) as one, post(platform, mail, ann=wishes) as two:
        events = [ended(version=f"v{number}") for number in range(10)]
        await known(platform)
        await asyncio.gather(*(each.told.note(event) for event in events for each in (one, two)))
        await one.notices(lambda notice: not notice.waiting, count=10)
    assert len(mail.mails) == 10
    assert len({str(each["Message-ID"]) for each in mail.mails}) == 10


async def test_a_login_is_sent_and_a_wrong_one_tried_again_later() -> None:
    async with mail_server(with_login=True) as box:
        right = MailServer(
            box.host, box.port, "f@example.org", "none", "flightline", SecretStr("hunter2"), within_s=5
        )
        wrong = MailServer(
            box.host, box.port, "f@example.org", "none", "flightline", SecretStr("hunter3"), within_s=5
        )
        notice = notice_of(found())
        assert notice
        await right.send(notice, "ann@example.org")
        with pytest.raises(TransientError, match="refuses the login") as refused:
            await wrong.send(notice, "ann@example.org")
    assert "hunter3" not in str(refused.value)
    assert len(box.mails) == 1


async def test_a_server_without_starttls_is_told_nothing_in_the_clear(mail: MailBox) -> None:
    notice = notice_of(found())
    assert notice
    server = MailServer(mail.host, mail.port, "f@example.org", "starttls", within_s=5)
    with pytest.raises((TransientError, PermanentError)):
        await server.send(notice, "ann@example.org")
    assert not mail.mails


def test_names_of_flights_cannot_write_headers() -> None:
    event = found()
    evil = event.data.model_copy(update={"name": "x\r\nBcc: all@example.org\ud800"})
    notice = notice_of(event.model_copy(update={"data": evil}))
    assert notice
    message = mail_of(notice, sender="f@example.org", to="ann@example.org")
    assert message["Bcc"] is None
    assert "Bcc: all@example.org" in message["Subject"]
    assert message.as_bytes()


@pytest.mark.parametrize(
    "text", ["", "ann", "a@b\r\nRCPT TO:<x@y>", "a@b, c@d", "Ann <a@b>", "a b@c", "a@", "x" * 300 + "@b.de"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_address(text)


def test_scaling_canceling_and_sessions_are_nothing_to_tell() -> None:
    assert notice_of(staged(scale=Scale(requested=0.5))) is None
    assert notice_of(ended("canceled")) is None
    assert notice_of(ended(kind="datalab")) is None
    assert notice_of(ended(flight_id=None)) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webodm_mode": "pipeline"}, "needs DISCOVERY_WEBODM_URL"),
        ({"webodm_url": "ftp://x"}, "begins with http"),
        ({"smtp_host": "mail"}, "needs DISCOVERY_SMTP_FROM"),
        ({"notify_email": "a@example.org"}, "needs DISCOVERY_SMTP_HOST"),
        ({"smtp_username": "a"}, "needs DISCOVERY_SMTP_PASSWORD"),
        ({"smtp_security": "maybe"}, "should match pattern"),
        ({"notify_webhook": "nowhere"}, "begins with http"),
    ],
)
def test_settings_that_do_not_fit_together_say_so(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(**given)
