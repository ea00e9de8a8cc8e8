"""Tells people by e-mail and webhook: written down with the event, sent beside the pipeline."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from discovery.domain.flights import Flight
from discovery.domain.notifications import (
    EVERY,
    KEPT,
    Notice,
    Sending,
    SendingState,
    Wishes,
    due_again_s,
    not_sent,
    notice_of,
    payload,
    sendings,
    sent,
)
from shared.due import NEVER_S
from shared.errors import PermanentError, TransientError
from shared.events import Event, FlightFound, ImagesStaged, TaskCompleted
from shared.messaging.port import DEFAULT_LADDER
from shared.state import AlreadyExistsError, Change, Collection, Document, LeaseLostError
from shared.state.work import WorkQueue, due_queue
from shared.webhooks import WebhookSender

if TYPE_CHECKING:
    from discovery.adapters.mail import MailServer

log = structlog.get_logger()

LEASE = timedelta(seconds=90)
AT_ONCE = 8
NO_MAIL = "the mail server is not set: DISCOVERY_SMTP_HOST"

WishesOf = Callable[[str], Awaitable[Wishes]]


@dataclass(frozen=True, slots=True)
class Notifications:
    """Writes down who is to hear of an event; costs the event one insert."""

    notices: Collection[Notice]
    flights: Collection[Flight]
    wishes_of: WishesOf
    """What an owner wants to hear of."""
    operator: Wishes
    wake: Callable[[], None]

    async def note(self, event: Event[FlightFound] | Event[ImagesStaged] | Event[TaskCompleted]) -> None:
        """Write down whom to tell of an event, once however often it comes."""
        notice = notice_of(event)
        if notice is None:
            return
        owner = notice.owner or await self._owner(notice.flight_id)
        wishes = [(self.operator, True)]
        if owner:
            wishes.append((await self.wishes_of(owner), False))
        to = sendings(notice.occasion, wishes)
        if not to:
            return
        notice = notice.model_copy(update={"owner": owner, "sendings": to, "due_s": time.time()})
        try:
            await self.notices.insert(notice.key, notice, expires_at=datetime.now(UTC) + KEPT)
        except AlreadyExistsError:
            return
        self.wake()

    async def _owner(self, flight_id: str) -> str:
        flight = await self.flights.get(flight_id)
        return flight.body.owner if flight else ""


@dataclass(frozen=True, slots=True)
class Messenger:
    """Sends what waits; any number of replicas may."""

    notices: Collection[Notice]
    webhooks: WebhookSender
    mail: MailServer | None
    ladder: Sequence[timedelta] = DEFAULT_LADDER

    async def deliver(self, document: Document[Notice]) -> None:
        """Send a notice to everybody who has not heard it; each time is written down at once."""
        lease = document.record.lease
        assert lease is not None
        notice = document.body
        for sending in notice.waiting:
            change = await self._outcome(notice, sending)
            notice = (await self.notices.update(notice.key, change, owner=lease.owner)).body
        await self.notices.update(notice.key, self._over, owner=lease.owner)

    def _over(self, notice: Notice) -> Change[Notice]:
        due_s = due_again_s(notice, datetime.now(UTC), self.ladder)
        after = notice.model_copy(update={"due_s": NEVER_S if due_s is None else due_s})
        return Change(after, release=True)

    async def _outcome(self, notice: Notice, sending: Sending) -> Callable[[Notice], Notice]:
        about = {"channel": sending.channel, "occasion": notice.occasion, "flight_id": notice.flight_id}
        try:
            await self._send(notice, sending)
        except LeaseLostError:
            raise
        except (PermanentError, TransientError) as error:
            is_final = isinstance(error, PermanentError)
            fails = partial(
                not_sent, sending=sending, reason=str(error), is_final=is_final, rungs=len(self.ladder)
            )
            is_dead = any(one.state is SendingState.DEAD for one in _same(fails(notice), sending))
            tell = log.error if is_dead else log.warning
            tell("notification.dead" if is_dead else "notification.delayed", error=str(error), **about)
            return fails
        log.info("notification.sent", **about)
        return partial(sent, sending=sending)

    async def _send(self, notice: Notice, sending: Sending) -> None:
        if sending.channel == "webhook":
            body = json.dumps(payload(notice), ensure_ascii=True).encode()
            await self.webhooks.post(sending.to, body, notice.key, is_trusted=sending.is_trusted)
        elif self.mail is None:
            raise PermanentError(NO_MAIL)
        else:
            await self.mail.send(notice, sending.to)

    def queue(self, *, at_once: int = AT_ONCE, lease: timedelta = LEASE) -> WorkQueue[Notice]:
        """Return the queue of notices that are due."""
        return due_queue(self.notices, at_once=at_once, lease=lease)


def operators_wishes(email: str | None, webhook: str | None) -> Wishes:
    """Return what the operator wants to hear of: everything, if there is a way to tell."""
    return Wishes(email=email or "", webhook=webhook or "", occasions=EVERY)


def _same(notice: Notice, sending: Sending) -> list[Sending]:
    return [one for one in notice.sendings if (one.channel, one.to) == (sending.channel, sending.to)]
