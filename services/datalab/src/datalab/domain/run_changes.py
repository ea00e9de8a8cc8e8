"""How a run goes from state to state."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from datalab.domain.asked import CANCELLED_MESSAGE, ShownOperation, State
from datalab.domain.runs import Phase, Place, Run, StepOfRun
from shared.due import NEVER_S

DELETED = "Its operation was deleted."
MESSAGE_AT_MOST_CHARACTERS = 1_000

_ENDS = {
    State.COMPLETED: Phase.COMPLETED,
    State.FAILED: Phase.FAILED,
    State.CANCELLED: Phase.CANCELLED,
}

_UNCERTAIN = (Phase.ASKING, Phase.AGAIN)


def ready(run: Run) -> list[Place]:
    """Return the steps that wait for nothing but room."""
    return [
        place
        for place, step in run.places()
        if step.phase is Phase.WAITING
        and all(run.at((place[0], need)).phase is Phase.COMPLETED for need in run.steps[place[1]].needs)
    ]


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


def to_follow(run: Run) -> set[int]:
    """Return the operations to look for: those that a call was about, else all that have not ended."""
    going = {step.operation for _, step in run.places() if step.operation and not step.phase.is_final}
    uncertain = {run.at(place).operation for phase in _UNCERTAIN for place in run.in_phase(phase)}
    return (uncertain | {*run.news}) & going if run.news else going


def followed(
    run: Run, found: Mapping[int, ShownOperation], numbers: Collection[int], now_us: int
) -> Run | None:
    """Return a run as its operations have come on; None: it is just so.

    Args:
        run: One that has not ended.
        found: Operations, by number.
        numbers: Which were looked for: those of them that were not found are gone.
        now_us: The time.
    """
    if run.state.is_final:
        return None
    changed = {
        place: _followed(step, found)
        for place, step in run.places()
        if step.operation in numbers and not step.phase.is_final
    }
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


def called(run: Run, now_s: float, ended: int = 0) -> Run:
    """Return a run that somebody has to look at, for one of its operations has ended, if one is named."""
    news = (*run.news, ended) if ended else run.news
    return run.model_copy(update={"calls": run.calls + 1, "news": news, "due_s": now_s})


def looked_at(run: Run, before: Run, next_s: float) -> Run:
    """Return a run as somebody leaves it who saw it as it was ``before``.

    Whoever called meanwhile is heard at once.
    """
    due_s = run.due_s if run.calls != before.calls else next_s
    return run.model_copy(update={"due_s": due_s, "news": run.news[len(before.news) :]})


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
