"""What people were told, or could not be told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from discovery.domain.notifications import Notice, Occasion, Sending, SendingState
from discovery.notifications import Notifications
from discovery.routes.asking import Reader
from shared.state import Order

router = APIRouter(tags=["notifications"])


class SendingShown(BaseModel):
    """A notification on its way to one receiver."""

    channel: Literal["email", "webhook"]
    to: str = Field(description="The address; of a webhook its host only, since its URL may hold a secret.")
    state: SendingState
    attempts: int
    reason: str | None


class NoticeShown(BaseModel):
    """One thing that happened to a flight, and who was to hear of it."""

    id: str
    occasion: Occasion
    flight_id: str
    flight_name: str
    owner: str
    happened_at: datetime
    state: SendingState = Field(
        description="`dead`: somebody cannot be told, or was tried often enough; `waiting`; `sent`."
    )
    sendings: list[SendingShown]


class NoticePage(BaseModel):
    """Some notifications, the newest first, and where the next ones begin."""

    notifications: list[NoticeShown]
    cursor: str | None = Field(description="Give it as `after` to get the next page; null: this is the last.")


class NoticeQuery(BaseModel):
    """Which notifications."""

    model_config = ConfigDict(extra="ignore")

    state: SendingState | None = None
    limit: Annotated[int, Field(gt=0, le=1000)] = 100
    after: str | None = None


@router.get("/api/notifications/", summary="List notifications, such as those that nobody could be told")
async def list_notices(
    request: Request, reader: Reader, query: Annotated[NoticeQuery, Query()]
) -> NoticePage:
    """Return what is kept of the last thirty days; users see what was for them alone."""
    told: Notifications = request.state.notifications
    where = {"state": query.state.value if query.state else None, "owner": reader.sees}
    page = await told.notices.find(
        {name: value for name, value in where.items() if value is not None},
        order=Order("happened_at", descending=True),
        limit=query.limit,
        after=query.after,
    )
    shown = [_shown(document.body, all_receivers=reader.is_service) for document in page.items]
    fitting = [one for one in shown if one.sendings and query.state in (None, one.state)]
    return NoticePage(notifications=fitting, cursor=page.cursor)


def _shown(notice: Notice, *, all_receivers: bool) -> NoticeShown:
    seen = notice.model_copy(
        update={
            "sendings": tuple(one for one in notice.sendings if all_receivers or not one.is_trusted),
        }
    )
    return NoticeShown(
        id=notice.key,
        occasion=notice.occasion,
        flight_id=notice.flight_id,
        flight_name=notice.flight_name,
        owner=notice.owner,
        happened_at=notice.happened_at,
        state=seen.reached,
        sendings=[_sending_shown(one) for one in seen.sendings],
    )


def _sending_shown(sending: Sending) -> SendingShown:
    is_mail = sending.channel == "email"
    return SendingShown(
        channel=sending.channel,
        to=sending.to if is_mail else urlsplit(sending.to).hostname or "",
        state=sending.state,
        attempts=sending.attempts,
        reason=sending.reason,
    )
