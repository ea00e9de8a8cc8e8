"""An image on a WebDAV server on its way from the raw folder to the unsorted one."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from scaler.domain.candidates import Sighting
from shared.due import NEVER_S
from shared.errors import ConflictError


class Frozen(BaseModel):
    """A value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ImageState(StrEnum):
    """What became of an image."""

    WAITING = "waiting"
    DONE = "done"
    GONE = "gone"
    """It was taken away or replaced before it was scaled."""
    REJECTED = "rejected"


class Stored(Frozen):
    """The scaled image, which was found whole on the server."""

    source_sha256: str
    target: str
    """Path on the server."""
    sha256: str
    size_bytes: int
    width: int
    height: int


class RawImage(Frozen):
    """One version of one file in the raw folder."""

    place: str
    """URL of the raw folder, without login."""
    path: str
    """Of the file, from the folder that the login begins in."""
    etag: str
    size_bytes: int
    modified_at: AwareDatetime | None = None
    state: ImageState = ImageState.WAITING
    attempt: int = 0
    """How often it failed."""
    due_s: float = 0.0
    """Not to be worked on before this moment, in seconds since 1970."""
    error: str | None = None
    """Why it waits, or was rejected."""
    rejected_as: str | None = None
    stored: Stored | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.path.rpartition("/")[2]


def raw_image(place: str, seen: Sighting, now: datetime) -> RawImage:
    """Return a file that has stopped changing as an image to scale."""
    return RawImage(
        place=place,
        path=seen.path,
        etag=seen.etag,
        size_bytes=seen.size_bytes,
        modified_at=seen.modified_at,
        due_s=now.timestamp(),
        created_at=now,
        updated_at=now,
    )


def raw_image_id(place: str, seen: Sighting) -> str:
    """Return the id of this version of a file: the same in every process."""
    when = seen.modified_at.astimezone(UTC).isoformat() if seen.modified_at else ""
    facts = "\0".join((place, seen.path, seen.etag, str(seen.size_bytes), when))
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def seen_again(image: RawImage, listed_at: datetime) -> RawImage | None:
    """Return an image that was over and lies in the raw folder all the same, to be worked on as a new one.

    Its original was not deleted after all, or was put back as it was, perhaps without its scaled copy, so
    that the note of that one does not count any more. One that could not be read as it is listed waits first.

    Args:
        image: As it was noted.
        listed_at: When the folder was asked for; what ended since then is not known to be there still.
    """
    if image.updated_at >= listed_at:
        return None
    if image.state is ImageState.DONE:
        return _due(image, listed_at).model_copy(update={"stored": None})
    if image.state is ImageState.GONE:
        due_s = listed_at.timestamp() + wait_s(image.attempt, 0.5)
        return image.model_copy(update={"state": ImageState.WAITING, "due_s": due_s, "stored": None})
    return None


def retried(image: RawImage, now: datetime) -> RawImage:
    """Return an image as one to be tried now.

    Raises:
        ConflictError: It is done.
    """
    if image.state in (ImageState.DONE, ImageState.GONE):
        raise ConflictError(f"an image that is {image.state.value} cannot be tried again")
    return _due(image, now)


def stored(image: RawImage, result: Stored, now: datetime) -> RawImage:
    """Return an image whose scaled copy stands on the server."""
    return image.model_copy(update={"stored": result, "updated_at": now})


def done(image: RawImage, now: datetime) -> RawImage:
    """Return an image whose original is gone."""
    update = {"state": ImageState.DONE, "due_s": NEVER_S, "error": None, "updated_at": now}
    return image.model_copy(update=update)


def gone(image: RawImage, reason: str, now: datetime) -> RawImage:
    """Return an image that was not there any more, or not as it was listed."""
    update = {
        "state": ImageState.GONE,
        "attempt": image.attempt + 1,
        "due_s": NEVER_S,
        "error": reason,
        "updated_at": now,
    }
    return image.model_copy(update=update)


def rejected(image: RawImage, code: str, reason: str, now: datetime) -> RawImage:
    """Return an image that stays where it is, and is not tried again until it changes."""
    update = {
        "state": ImageState.REJECTED,
        "due_s": NEVER_S,
        "rejected_as": code,
        "error": reason,
        "updated_at": now,
    }
    return image.model_copy(update=update)


def postponed(image: RawImage, error: str, wait_s: float, now: datetime) -> RawImage:
    """Return an image that is tried again after a while."""
    update = {
        "attempt": image.attempt + 1,
        "due_s": now.timestamp() + wait_s,
        "error": error,
        "updated_at": now,
    }
    return image.model_copy(update=update)


def wait_s(attempt: int, chance: float) -> float:
    """Return how long to wait after so many failures (1 first): twice as long each time, an hour at most.

    Args:
        attempt: How often it failed.
        chance: Between 0 and 1; a quarter more or less, so that failures do not return together.
    """
    return min(_FIRST_WAIT_S * 2.0 ** min(attempt - 1, 20), _LONGEST_WAIT_S) * (0.75 + 0.5 * chance)


_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 3600.0


def _due(image: RawImage, now: datetime) -> RawImage:
    update = {
        "state": ImageState.WAITING,
        "attempt": 0,
        "due_s": time.time(),
        "error": None,
        "rejected_as": None,
        "updated_at": now,
    }
    return image.model_copy(update=update)
