"""A session: a name, and the files that its owner works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

NAME_AT_MOST_CHARACTERS = 256
ITEMS_AT_MOST = 20_000
INPUT_AT_MOST_BYTES = 8 << 20
"""Of a session's input data as JSON: what every store keeps in a document."""


class DataSession(BaseModel):
    """One session; the document's name is ``s{number}``."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Its id, as clients know it."""
    owner: str
    name: str
    input_data: list[Any] = Field(default_factory=list)
    """What clients sent, in their order; none twice."""
    created_us: int
    """Microseconds since 1970, as all times of documents."""
    modified_us: int
    accessed_us: int
    flight: str | None = None
    """The flight whose products made it, where one did."""
    removing: bool = False
    """It was deleted: nobody sees it any more, and its operations go one by one."""

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return session_id(self.number)


def session_id(number: int) -> str:
    """Return the name of a session's document."""
    return f"s{number}"


def with_items(session: DataSession, items: Iterable[Any], now_us: int) -> DataSession:
    """Return the session with those of ``items`` behind its own that it does not have yet."""
    return session.model_copy(update={"input_data": joined(session.input_data, items), "modified_us": now_us})


def too_large(session: DataSession) -> str | None:
    """Return why a session has more input data than can be kept, or None."""
    if len(session.input_data) > ITEMS_AT_MOST:
        return f"A session has at most {ITEMS_AT_MOST} items of input data."
    if len(to_json(session.input_data)) > INPUT_AT_MOST_BYTES:
        return f"A session's input data has at most {INPUT_AT_MOST_BYTES} bytes."
    return None


def joined(items: Sequence[Any], more: Iterable[Any]) -> list[Any]:
    """Return ``items`` and those of ``more`` that are not among them; same is what is the same JSON."""
    seen = {_canonical(item) for item in items}
    found = list(items)
    for item in more:
        if (text := _canonical(item)) not in seen:
            seen.add(text)
            found.append(item)
    return found


def _canonical(item: Any) -> bytes:
    return to_json(_sorted(item))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
