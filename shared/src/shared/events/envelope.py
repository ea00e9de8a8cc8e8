"""The CloudEvents 1.0 envelope that every event travels in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.tracing import current, parse_traceparent


class EventData(BaseModel):
    """What an event says; subclasses are frozen facts, and readers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    type: ClassVar[str]
    """The event's CloudEvents type, which is its routing key."""

    @property
    def subject(self) -> str | None:
        """Return the id of what the event is about."""
        return None


D_co = TypeVar("D_co", bound=EventData, covariant=True)
D = TypeVar("D", bound=EventData)

Name = Annotated[str, Field(min_length=1, max_length=512)]


class Event(BaseModel, Generic[D_co]):
    """One event: CloudEvents attributes around ``data``.

    ``(source, id)`` names an event for ever: the same pair twice is the same event told twice.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    specversion: Annotated[str, Field(pattern=r"^1\.\d+$")] = "1.0"
    """CloudEvents' version."""
    id: Name
    """With ``source``, names the event for ever."""
    source: Name
    """Who tells it, such as ``flightline/ingest``."""
    type: Name
    """What is told, and the routing key."""
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    """When it was decided on; CloudEvents lets a teller leave it out, and then it is when we read it."""
    subject: str | None = None
    """Id of what it is about."""
    datacontenttype: str = "application/json"
    """Always JSON."""
    correlationid: str | None = None
    """Id of the event that began it all."""
    causationid: str | None = None
    """Id of the event whose handling caused this one."""
    traceparent: str | None = None
    """W3C trace context."""
    data: D_co

    @property
    def key(self) -> str:
        """Return what a consumer remembers to recognise this event when it comes again."""
        return f"{self.source}#{self.id}"

    @property
    def correlation(self) -> str:
        """Return the id of the event that began it all."""
        return self.correlationid or self.id

    def to_bytes(self) -> bytes:
        """Return the event as structured-mode JSON."""
        return self.model_dump_json(exclude_none=True).encode()


def new_event(
    source: str, data: D, *, event_id: str | None = None, cause: Event[Any] | None = None
) -> Event[D]:
    """Return ``data`` as an event of ``source``.

    Args:
        source: The service that tells it, such as ``flightline/ingest``.
        data: What is told.
        event_id: A content-derived id, where telling it twice must be recognisable; else a random one.
        cause: The event being handled; its correlation and trace are carried on.
    """
    return Event[D](
        id=event_id or str(uuid4()),
        source=source,
        type=data.type,
        time=datetime.now(UTC),
        subject=data.subject,
        correlationid=cause.correlation if cause else None,
        causationid=cause.id if cause else None,
        traceparent=_traceparent(cause),
        data=data,
    )


def _traceparent(cause: Event[Any] | None) -> str | None:
    """Return the current span, unless the cause is of another trace: answers belong to who asked."""
    here, asked = current(), parse_traceparent(cause.traceparent) if cause else None
    if asked is not None and (here is None or here.trace_id != asked.trace_id):
        return asked.traceparent
    return here.traceparent if here else None
