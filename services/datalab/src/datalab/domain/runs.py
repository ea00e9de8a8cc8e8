"""A run: a recipe applied to one or several sets of files, and how it goes from state to state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from datalab.domain.asked import CANCELLED_MESSAGE, ShownOperation, State
from datalab.domain.computations import InputFile
from datalab.domain.recipes import Step
from shared.due import NEVER_S

SETS_AT_MOST = 200
STEPS_AT_MOST = 1_000
"""Of a run: the recipe's, for each set."""
FILES_AT_MOST = 2_000
"""Of all sets together."""
DELETED = "Its operation was deleted."
MESSAGE_AT_MOST_CHARACTERS = 1_000


class Phase(StrEnum):
    """How far a step of a run has come."""

    WAITING = "WAITING"
    """For what it works on, or until there is room for its operation."""
    ASKING = "ASKING"
    """Its operation has its number, and is made under that or is there already."""
    AGAIN = "AGAIN"
    """Its operation is to be tried again."""
    ASKED = "ASKED"
    """Its operation is there and says how far it is."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    """What it works on will never be there."""

    @property
    def is_final(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self in _FINAL

    @property
    def is_to_be_asked(self) -> bool:
        """Return whether its operation has to be asked for under the number that it has."""
        return self in (Phase.ASKING, Phase.AGAIN)


_FINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})
_ENDS = {
    State.COMPLETED: Phase.COMPLETED,
    State.FAILED: Phase.FAILED,
    State.CANCELLED: Phase.CANCELLED,
}

Place = tuple[int, int]
"""Of a step in a run: which set, and which step of the recipe."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepOfRecipe(_Kept):
    """What a run knows of a step of its recipe."""

    name: str
    operation: str
    needs: tuple[int, ...]
    """Places of the steps whose outputs it works on."""


class StepOfRun(_Kept):
    """A step, applied to one set."""

    phase: Phase = Phase.WAITING
    operation: int = 0
    """Number of its operation, given before that is made; 0: none yet."""
    message: str = ""
    progress: float = Field(default=0.0, ge=0, le=1)
    """Of its operation, when somebody looked last."""


class Run(_Kept):
    """One run; the document's name is ``{number}``."""

    number: int
    """Its id, as clients know it."""
    owner: str
    session: int
    recipe: int
    """Number of the recipe, which may be gone."""
    name: str
    """The recipe's."""
    steps: tuple[StepOfRecipe, ...]
    sets: tuple[tuple[StepOfRun, ...], ...]
    """The steps, for each set."""
    state: State = State.PENDING
    message: str = ""
    progress: float = Field(default=0.0, ge=0, le=1)
    calls: int = 0
    """Counted up whenever somebody has to look at it."""
    due_s: float
    """When somebody is to look at it again, in seconds since 1970."""
    created_us: int
    ended_us: int = 0

    @property
    def document_id(self) -> str:
        """Return the name of its document."""
        return str(self.number)

    def places(self) -> Iterator[tuple[Place, StepOfRun]]:
        """Yield every step of every set with its place."""
        for number, steps in enumerate(self.sets):
            for place, step in enumerate(steps):
                yield (number, place), step

    def at(self, place: Place) -> StepOfRun:
        """Return a step."""
        return self.sets[place[0]][place[1]]


class Made(_Kept):
    """What a run is made of; it stays as it is."""

    steps: tuple[Step, ...]
    """The recipe's, when it was applied."""
    sets: tuple[tuple[dict[str, Any], ...], ...]
    """Files, as they were sent."""
    files: tuple[InputFile, ...]
    """Which ones they are: the owner was found to be allowed to see them."""


def ready(run: Run) -> list[Place]:
    """Return the steps that wait for nothing but room."""
    return [
        place
        for place, step in run.places()
        if step.phase is Phase.WAITING
        and all(run.at((place[0], need)).phase is Phase.COMPLETED for need in run.steps[place[1]].needs)
    ]


def to_be_asked(run: Run) -> list[Place]:
    """Return the steps whose operations are to be asked for."""
    return [place for place, step in run.places() if step.phase.is_to_be_asked]


def reserved(run: Run, numbers: Mapping[Place, int]) -> Run | None:
    """Return a run with numbers for operations that are made next."""
    if run.state.is_final:
        return None
    changed = {
        place: StepOfRun(phase=Phase.ASKING, operation=number)
        for place, number in numbers.items()
        if run.at(place).phase is Phase.WAITING
    }
    return _with(run, changed).model_copy(update={"state": State.IN_PROGRESS})


def noted(run: Run, outcomes: Mapping[Place, str]) -> Run | None:
    """Return a run some of whose operations were asked for; ``outcomes`` says why one was refused, if so."""
    changed = {
        place: step.model_copy(
            update={"phase": Phase.FAILED if message else Phase.ASKED, "message": _short(message)}
        )
        for place, message in outcomes.items()
        if (step := run.at(place)).phase.is_to_be_asked
    }
    return _with(run, changed) if changed else None


def followed(run: Run, found: Mapping[int, ShownOperation], now_us: int) -> Run | None:
    """Return a run as its operations have come on; None: it is just so.

    Args:
        run: One that has not ended.
        found: The operations of steps that have not ended, by number; those that are missing are gone.
        now_us: The time.
    """
    if run.state.is_final:
        return None
    changed = {place: _followed(step, found) for place, step in run.places() if not step.phase.is_final}
    changed = {place: step for place, step in changed.items() if step != run.at(place)}
    return _same_or(run, _ended(_without_hope(_with(run, changed)), now_us))


def cancelled(run: Run, now_us: int) -> Run | None:
    """Return a run that its owner has stopped, whose operations are still to be stopped."""
    if run.state.is_final:
        return None
    ended = {"state": State.CANCELLED, "message": CANCELLED_MESSAGE, "ended_us": now_us}
    return called(run.model_copy(update=ended), now_us / 1e6)


def stopped(run: Run, found: Mapping[int, ShownOperation]) -> Run | None:
    """Return a cancelled run with how its last operations ended; what was not begun never is."""
    if run.state is not State.CANCELLED:
        return None
    never = {"phase": Phase.CANCELLED, "message": CANCELLED_MESSAGE}
    changed = {
        place: _shown(step, found[step.operation])
        if step.operation in found
        else step.model_copy(update=never)
        for place, step in run.places()
        if not step.phase.is_final
    }
    return _with(run, changed)


def retried(run: Run, now_us: int) -> Run | None:
    """Return a run that failed or was cancelled as it goes on: what is done stays done."""
    if run.state not in (State.FAILED, State.CANCELLED):
        return None
    changed = {
        place: step.model_copy(
            update={"phase": Phase.AGAIN if step.operation else Phase.WAITING, "message": "", "progress": 0.0}
        )
        for place, step in run.places()
        if step.phase is not Phase.COMPLETED
    }
    begins = {"state": State.IN_PROGRESS, "message": "", "ended_us": 0}
    return called(_with(run, changed).model_copy(update=begins), now_us / 1e6)


def called(run: Run, now_s: float) -> Run:
    """Return a run that somebody has to look at."""
    return run.model_copy(update={"calls": run.calls + 1, "due_s": now_s})


def looked_at(run: Run, calls: int, next_s: float) -> Run:
    """Return a run as somebody leaves it who has looked at it; ``calls`` are those of before.

    Whoever called meanwhile is heard at once.
    """
    due_s = run.due_s if run.calls != calls else next_s
    return run.model_copy(update={"due_s": due_s})


def next_look_s(run: Run, later_s: float) -> float:
    """Return when a run is to be looked at again by itself."""
    return NEVER_S if run.state.is_final else later_s


def progress_of(run: Run, live: Mapping[int, float]) -> float:
    """Return how much of a run is done; ``live`` is how far operations are, by number."""
    parts = [
        1.0 if step.phase is Phase.COMPLETED else max(step.progress, live.get(step.operation, 0.0))
        for _, step in run.places()
    ]
    return max(run.progress, min(1.0, sum(parts) / len(parts)))


def _with(run: Run, changed: Mapping[Place, StepOfRun]) -> Run:
    if not changed:
        return run
    sets = [list(steps) for steps in run.sets]
    for (number, place), step in changed.items():
        sets[number][place] = step
    return run.model_copy(update={"sets": tuple(map(tuple, sets))})


def _followed(step: StepOfRun, found: Mapping[int, ShownOperation]) -> StepOfRun:
    shown = found.get(step.operation)
    if step.phase is Phase.WAITING:
        return step
    if shown is None:
        return _without_operation(step)
    if step.phase is Phase.AGAIN and shown.state is not State.COMPLETED:
        return step
    return _shown(step, shown)


def _without_operation(step: StepOfRun) -> StepOfRun:
    match step.phase:
        case Phase.ASKING:
            return step
        case Phase.AGAIN:
            return StepOfRun()
        case _:
            return step.model_copy(update={"phase": Phase.FAILED, "message": DELETED})


def _shown(step: StepOfRun, shown: ShownOperation) -> StepOfRun:
    return StepOfRun(
        phase=_ENDS.get(shown.operation.state, Phase.ASKED),
        operation=step.operation,
        message=_short(shown.message),
        progress=max(step.progress, shown.progress),
    )


def _without_hope(run: Run) -> Run:
    """Return a run in which steps have failed whose files will never be there."""
    for place, step in run.places():
        if step.phase is Phase.WAITING and (why := _lost(run, place)):
            run = _with(run, {place: StepOfRun(phase=Phase.SKIPPED, message=why)})
    return run


def _lost(run: Run, place: Place) -> str | None:
    """Return why what a step works on will never be there; None: it may."""
    for need in run.steps[place[1]].needs:
        needed = run.at((place[0], need))
        match needed.phase:
            case Phase.SKIPPED:
                return needed.message
            case Phase.FAILED:
                return f'Not begun: step "{run.steps[need].name}" failed.'
            case Phase.CANCELLED:
                return f'Not begun: step "{run.steps[need].name}" was cancelled.'
            case _:
                continue
    return None


def _ended(run: Run, now_us: int) -> Run:
    run = run.model_copy(update={"progress": progress_of(run, {})})
    phases = {step.phase for _, step in run.places()}
    if not all(phase.is_final for phase in phases):
        return run
    if phases == {Phase.COMPLETED}:
        return run.model_copy(update={"state": State.COMPLETED, "progress": 1.0, "ended_us": now_us})
    state = State.FAILED if Phase.FAILED in phases else State.CANCELLED
    return run.model_copy(update={"state": state, "message": _why(run), "ended_us": now_us})


def _why(run: Run) -> str:
    """Say which step failed first by itself, and why."""
    own = (Phase.FAILED, Phase.CANCELLED)
    (number, place), first = next((at, step) for at, step in run.places() if step.phase in own)
    others = sum(step.phase in own for _, step in run.places()) - 1
    of_set = f" of set {number}" if len(run.sets) > 1 else ""
    ended = "was cancelled." if first.phase is Phase.CANCELLED else f"failed: {first.message}"
    more = f" ({others} more failed.)" if others else ""
    return _short(f'Step "{run.steps[place].name}"{of_set} {ended}{more}')


def _same_or(run: Run, changed: Run) -> Run | None:
    return None if changed == run else changed


def _short(message: str) -> str:
    return message[:MESSAGE_AT_MOST_CHARACTERS]
