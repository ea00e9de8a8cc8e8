"""A computation: what all operations that ask for the same share, and how it goes from state to state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from datalab.domain.asked import CANCELLED_MESSAGE, State
from shared.due import delay_s

ALMOST = 0.99
"""As far as a computation comes before all of its outputs are stored."""
AGAIN_AFTER_S = 0.5
"""Behind a crash."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class InputFile(_Kept):
    """A file that is computed with: which one it is, and where its content comes from."""

    source: str
    basename: str
    content: str
    """Names the bytes: other bytes, other name."""
    place: str
    """Where its source has it: a frame's id, the key of an object, a path."""
    url: str = ""
    """Where it can be read for a while; it opens the file to anybody, so it is never shown."""
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    computation: str = ""
    """The key of the one that made it."""

    @property
    def name(self) -> tuple[str, str]:
        """Return what operations find it by."""
        return self.source, self.basename


class StoredFile(_Kept):
    """An object that holds a result."""

    key: str
    size_bytes: int
    sha256: str


class StoredOutput(_Kept):
    """One of the files that came out, with its pictures."""

    basename: str
    type: str
    """``fits`` or ``image``."""
    files: Mapping[str, StoredFile]
    """By kind: ``fits``, ``large``, ``small``, ``tif``, ``diagnostic``."""
    comment: str = ""
    facts: Mapping[str, Any] = Field(default_factory=dict)


class Outcome(_Kept):
    """All that came out of a computation."""

    files: tuple[StoredOutput, ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()
    data_file: StoredFile | None = None
    """The data, as a list in JSON, where they are too large for a document; ``data`` is empty then."""
    provenance: Mapping[str, Any] = Field(default_factory=dict)
    """What it was made of, and by what."""

    def stored(self) -> Iterator[StoredFile]:
        """Yield every object that holds a part of it."""
        for output in self.files:
            yield from output.files.values()
        if self.data_file:
            yield self.data_file


class Computation(_Kept):
    """One computation; the document's name is its key."""

    key: str
    name: str
    """Of the operation."""
    version: int
    inputs: dict[str, Any]
    files: tuple[InputFile, ...]
    asked_by: str = ""
    """Who asked, whose access to the files was checked, and whose turn it takes."""
    turn: int = 0
    """When it is its turn among those that wait for a worker: the lowest first; 0: it has lost its place."""
    session: int = 0
    operation: int = 0
    """The first that asked, for logs."""
    state: State = State.PENDING
    progress: float = Field(default=0.0, ge=0, le=1)
    message: str = ""
    outcome: Outcome | None = None
    attempt: str = ""
    """Names the last attempt, and the folder of what that stores."""
    has_strays: bool = False
    """Attempts before the last one may have stored something."""
    begun: int = 0
    """How often a worker took it up without giving it back in order."""
    crashes: int = 0
    """How often the process that computes it ended."""
    delays: int = 0
    """How often in a row something was out of reach."""
    due_s: float = 0.0
    """When somebody is to look at it again, in seconds since 1970."""
    called_s: float = 0.0
    """When workers were last called to it."""
    traceparent: str | None = None
    """The span in which it was first asked for."""
    is_told: bool = False
    """Its operations know how it ended."""
    is_expiring: bool = False
    """Its results are being deleted."""
    unwanted_s: float = 0.0
    """Since when no operation points to it; 0: as far as is known, one does."""
    created_us: int
    started_us: int = 0
    ended_us: int = 0

    @property
    def is_open(self) -> bool:
        """Return whether it is still to be computed."""
        return not self.state.is_final

    @property
    def is_littered(self) -> bool:
        """Return whether there may be objects of attempts that came to nothing."""
        return self.has_strays or (self.attempt != "" and self.state is not State.COMPLETED)


def provenance(computation: Computation, software: Mapping[str, str]) -> dict[str, Any]:
    """Return what users are told of how results came about; ``software`` has versions."""
    return {
        "operation": computation.name,
        "version": computation.version,
        "computation": computation.key,
        "inputs": [file.content for file in computation.files],
        "software": dict(software),
    }


def _with(computation: Computation, **changes: Any) -> Computation:
    return computation.model_copy(update=changes)


def begun(computation: Computation, now_us: int, attempt: str) -> Computation | None:
    """Return it as taken up by a worker; None: there is nothing to do."""
    if not computation.is_open:
        return None
    return _with(
        computation,
        state=State.IN_PROGRESS,
        attempt=attempt,
        has_strays=computation.is_littered,
        begun=computation.begun + 1,
        started_us=computation.started_us or now_us,
        message="",
    )


def given_back(computation: Computation) -> Computation | None:
    """Return it as a worker leaves it that was told to end: that was no attempt, and its turn has come."""
    if not computation.is_open:
        return None
    return _with(_answered(computation), state=State.PENDING)


def lined_up(computation: Computation, turn: int) -> Computation | None:
    """Return it as waiting for a worker once more, in its own turn where it still has one."""
    if computation.state is not State.IN_PROGRESS:
        return None
    return _with(computation, state=State.PENDING, turn=computation.turn or turn)


def _answered(computation: Computation) -> Computation:
    """Return it as one whose worker is still there to say how it went."""
    return _with(computation, begun=max(0, computation.begun - 1))


def progressed(computation: Computation, done: float) -> Computation | None:
    """Return it with so much done; None: it is further already, or over."""
    done = min(max(done, 0.0), ALMOST)
    if computation.state is not State.IN_PROGRESS or not done > computation.progress:
        return None
    return _with(computation, progress=done)


def completed(computation: Computation, outcome: Outcome, now_us: int) -> Computation | None:
    """Return it as done, now that every output is stored."""
    return _ended(computation, State.COMPLETED, now_us, outcome=outcome, progress=1.0, message="")


def failed(computation: Computation, message: str, now_us: int) -> Computation | None:
    """Return it as failed for good; ``message`` is for users."""
    return _ended(computation, State.FAILED, now_us, message=message)


def cancelled(computation: Computation, now_us: int) -> Computation | None:
    """Return it as given up, since nobody wants it any more; None: it has ended already."""
    return _ended(computation, State.CANCELLED, now_us, message=CANCELLED_MESSAGE)


def _ended(computation: Computation, state: State, now_us: int, **changes: Any) -> Computation | None:
    if not computation.is_open:
        return None
    ended = {"state": state, "ended_us": now_us, "due_s": now_us / 1e6, "is_told": False, "unwanted_s": 0.0}
    return _with(computation, **ended, **changes)


def crashed(computation: Computation, why: str, now_us: int, *, at_most: int) -> Computation | None:
    """Return it as to be tried again after the process ended over it, or as failed after so many times."""
    if not computation.is_open:
        return None
    computation = _answered(computation)
    crashes = computation.crashes + 1
    if crashes < at_most:
        return _with(computation, crashes=crashes, due_s=now_us / 1e6 + AGAIN_AFTER_S)
    times = "once" if crashes == 1 else f"{crashes} times"
    message = f"{computation.name} could not be computed: {why} ({times}). Try fewer or smaller files."
    return failed(_with(computation, crashes=crashes), message, now_us)


def delayed(
    computation: Computation, why: str, now_us: int, ladder: Sequence[timedelta], at_least: timedelta | None
) -> Computation | None:
    """Return it as to be tried again later, or as failed when that was tried often enough."""
    if not computation.is_open:
        return None
    computation = _answered(computation)
    delays = computation.delays + 1
    wait_s = delay_s(delays, ladder)
    if wait_s is None:
        message = f"{why}. It was tried {delays} times; retry the operation later."
        return failed(_with(computation, delays=delays), message, now_us)
    wait_s = max(wait_s, at_least.total_seconds() if at_least else 0.0)
    return _with(computation, delays=delays, due_s=now_us / 1e6 + wait_s, turn=0)


def exhausted(computation: Computation, at_most: int) -> str | None:
    """Return why it is not to be taken up once more; None: it is."""
    if computation.begun <= at_most:
        return None
    return (
        f"{computation.name} was given up: {at_most} workers ended over it without an answer."
        " Try fewer or smaller files, or ask the operator to look at the workers."
    )


def joined(computation: Computation, asked: Computation, now_us: int) -> Computation | None:
    """Return a computation that there is already as one more operation asks for it.

    What failed, was cancelled or is about to be deleted begins anew; None: it is just what is asked for.
    """
    if computation.is_open:
        return _joined_open(computation, asked)
    if computation.state is State.COMPLETED and not computation.is_expiring:
        return None if not computation.unwanted_s else _with(computation, unwanted_s=0.0)
    has_strays = computation.has_strays or computation.attempt != ""
    now_s = now_us / 1e6
    return _with(asked, created_us=computation.created_us, due_s=now_s, called_s=now_s, has_strays=has_strays)


def _joined_open(computation: Computation, asked: Computation) -> Computation | None:
    changes: dict[str, Any] = {}
    if computation.files != asked.files:  # their URLs are fresher
        changes["files"] = asked.files
    if 0 < asked.turn < computation.turn:
        changes |= {"turn": asked.turn, "asked_by": asked.asked_by}
    return _with(computation, **changes) if changes else None


def called(computation: Computation, now_s: float) -> Computation | None:
    """Return it as workers are called to it once more."""
    return _with(computation, called_s=now_s) if computation.is_open else None


def told(computation: Computation, look_s: float) -> Computation | None:
    """Return it as known to its operations; it is looked at again to see whether they are still there."""
    return None if computation.is_open else _with(computation, is_told=True, due_s=look_s)


def kept(computation: Computation, look_s: float) -> Computation | None:
    """Return it as wanted, to be looked at again later."""
    if computation.is_open:
        return None
    return _with(computation, unwanted_s=0.0, is_expiring=False, due_s=look_s)


def unwanted(computation: Computation, now_s: float, keep: timedelta) -> Computation | None:
    """Return it as one that no operation points to: its results go when that has been so for long enough."""
    if computation.is_open:
        return None
    since_s = computation.unwanted_s or now_s
    gone_s = since_s + keep.total_seconds()
    if now_s >= gone_s:
        return _with(computation, unwanted_s=since_s, is_expiring=True)
    return _with(computation, unwanted_s=since_s, due_s=gone_s)


def swept(computation: Computation) -> Computation | None:
    """Return it as one of which no object is left that came to nothing; None: that may change."""
    if computation.is_open or not computation.is_littered:
        return None
    attempt = computation.attempt if computation.state is State.COMPLETED else ""
    return _with(computation, has_strays=False, attempt=attempt)


def strays(computation: Computation | None, keys: Iterable[str]) -> list[str]:
    """Return which objects of a computation no result consists of, nor the attempt that is under way.

    Args:
        computation: As it was found after the objects were listed: whoever stored one had begun by then.
        keys: Of the objects.
    """
    if computation is None:
        return list(keys)
    if computation.is_open:
        return [key for key in keys if attempt_of(key) != computation.attempt]
    outcome = None if computation.is_expiring else computation.outcome
    kept = {stored.key for stored in outcome.stored()} if outcome else set()
    return [key for key in keys if key not in kept]


def attempt_of(key: str) -> str:
    """Return which attempt stored an object."""
    return key.split("/")[-2]
