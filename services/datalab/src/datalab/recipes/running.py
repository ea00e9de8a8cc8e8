"""Runs go on: operations are asked for when there is what they work on, each under a number of its own.

A number is written down before its operation is made, and operations are stored once under a number: whoever
goes on after a kill finds what was made, and makes the rest. One process at a time works on a run, under a
lease; the end of an operation, told over the bus, calls it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import structlog

from datalab.clock import now_us
from datalab.domain.asked import UNFINISHED, AskedOperation, ShownOperation, State, operation_id
from datalab.domain.run_changes import (
    followed,
    looked_at,
    next_look_s,
    noted,
    ready,
    reserved,
    stopped,
    to_follow,
)
from datalab.domain.runs import Made, Phase, Place, Run
from datalab.execution.asking import Asking
from datalab.execution.showing import LOST
from datalab.recipes.asking import ask, pinned, wanted
from datalab.recipes.runs import Runs
from datalab.sessions import Sessions
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.state import AlreadyExistsError, Between, Change, Document, LeaseLostError, OneOf, Order
from shared.state.lease import hold
from shared.state.owner import release_gone

LOOK_EVERY_S = 30.0
"""Runs are called whenever there is something to do; this is for calls that were lost with a process."""
AGAIN_S = 5.0
"""When what is out of reach, or has no room yet, is tried again."""
AT_LEAST_S = 1.0
AT_ONCE = 8
FOUND_AT_ONCE = 500
OF_ROOM = 0.5
"""Share of a user's unfinished operations that runs may take: one still wants to ask by hand."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """Works on runs, those of other processes that have ended, too."""

    runs: Runs
    sessions: Sessions
    asking: Asking
    unfinished_at_most: int
    """Operations of a user."""
    operations_at_most: int
    """Operations in a session."""
    owner: str
    lease: timedelta

    async def run(self) -> None:
        """Work on whatever is due, for ever."""
        with suppress(TransientError):
            await release_gone(self.runs.documents, {"due_s": Between(low=0.0)})
        while True:
            self.runs.signal.clear()
            pause_s = AGAIN_S
            try:
                while document := await self._claimed(Between(high=time.time())):
                    await self._work(document)
                pause_s = await self._until_due_s()
            except TransientError as error:
                log.warning("state.unavailable", error=str(error))
            except PermanentError:  # a run that cannot be read must not keep the others waiting
                log.exception("run.unreadable")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.runs.signal.wait()

    async def now(self, number: int) -> None:
        """Work on a run at once, unless somebody does already."""
        where = {"id": str(number)}
        try:
            document = await self.runs.documents.claim(where, owner=self.owner, hold=self.lease)
        except TransientError as error:  # it is stored, and goes on when the store is back
            log.warning("state.unavailable", error=str(error))
            document = None
        if document:
            await self._work(document)
        self.runs.signal.set()

    async def live(self, run: Run, base_url: str) -> dict[int, ShownOperation]:
        """Return the operations of steps that have not ended as they are now, by number."""
        numbers = [step.operation for _, step in run.places() if step.operation and not step.phase.is_final]
        found = list((await self._operations(run, numbers)).values())
        return {one.operation.number: one for one in await self.asking.shown(found, base_url=base_url)}

    async def _claimed(self, due: Between) -> Document[Run] | None:
        return await self.runs.documents.claim(
            {"due_s": due}, owner=self.owner, hold=self.lease, order=Order("due_s")
        )

    async def _until_due_s(self) -> float:
        """Return how long there is nothing to do."""
        page = await self.runs.documents.find({"due_s": Between(low=0.0)}, order=Order("due_s"), limit=1)
        left_s = page.items[0].body.due_s - time.time() if page.items else LOOK_EVERY_S
        return min(max(left_s, AT_LEAST_S), LOOK_EVERY_S)

    async def _work(self, document: Document[Run]) -> None:
        """Look at a run under the lease, which is given back behind it."""
        run, later_s = document.body, AGAIN_S
        heard = run.model_copy(update={"news": ()})
        try:
            async with hold(self.runs.documents, document.id, owner=self.owner, hold=self.lease):
                later_s = await self._look(run)
            heard = run
        except (LeaseLostError, NotFoundError) as error:
            log.info("run.left", run=run.number, error=str(error))
        except TransientError as error:
            log.warning("run.delayed", run=run.number, error=str(error))
        except Exception:  # a bug must not keep the others waiting
            log.exception("run.broken", run=run.number)
            later_s = LOOK_EVERY_S
        finally:
            await self._leave(heard, later_s)

    async def _leave(self, before: Run, later_s: float) -> None:
        def change(run: Run) -> Change[Run]:
            next_s = next_look_s(run, time.time() + later_s)
            return Change(looked_at(run, before, next_s), release=True)

        leaving = self.runs.documents.update(before.document_id, change, owner=self.owner)
        with suppress(NotFoundError, LeaseLostError, TransientError):
            await asyncio.shield(leaving)

    async def _look(self, run: Run) -> float:
        """Do what there is to do for a run; return when to look again, in seconds from now."""
        if not await self._has_session(run):
            await self.runs.delete(run.number)
            return LOOK_EVERY_S
        if run.state is State.CANCELLED:
            await self.stop(run)
        numbers = to_follow(run)
        while not run.state.is_final:
            found = await self._found(run, numbers)
            run = await self._change(run, partial(followed, found=found, numbers=numbers, now_us=now_us()))
            run, places, is_all = await self._next(run)
            if not places:
                return LOOK_EVERY_S if is_all else AGAIN_S
            outcomes = await self._ask(run, await self._made(run), places)
            run = await self._change(run, partial(noted, outcomes=outcomes))
            if len(outcomes) < len(places):
                return AGAIN_S
            numbers = {run.at(place).operation for place in places}
        return LOOK_EVERY_S

    async def _made(self, run: Run) -> Made:
        """Return what a run is made of.

        Raises:
            NotFoundError: It was never stored whole, or is being deleted; then it is gone.
        """
        made = await self.runs.made.get(run.document_id)
        if made is None:
            await self.runs.delete(run.number)
            raise NotFoundError(f"run {run.number} was never stored whole")
        return made.body

    async def _change(self, run: Run, step: Callable[[Run], Run | None]) -> Run:
        changed = await self.runs.change(run.number, step)
        if changed.state.is_final and not run.state.is_final:
            log.info("run.ended", run=run.number, state=changed.state.value, error=changed.message)
        return changed

    async def _has_session(self, run: Run) -> bool:
        try:
            await self.sessions.of(run.owner, run.session)
        except NotFoundError:
            return False
        return True

    async def _next(self, run: Run) -> tuple[Run, list[Place], bool]:
        """Return the steps whose operations are asked for now, and whether there was room for all."""
        again, new = run.in_phase(Phase.AGAIN), ready(run)
        all_of_them, room = len(again) + len(new), 0
        if all_of_them:
            room = await self._room(run)
        again, new = again[:room], new[: max(0, room - len(again))]
        numbers = {place: await self.sessions.numbers.next("operation") for place in new}
        if numbers:
            run = await self._change(run, partial(reserved, numbers=numbers))
        places = [] if run.state.is_final else [*run.in_phase(Phase.ASKING), *again]
        return run, places, room >= all_of_them

    async def _room(self, run: Run) -> int:
        """Return how many operations can be asked for now."""
        asked = self.sessions.asked
        unfinished = await asked.count({"owner": run.owner, "state": OneOf(UNFINISHED)})
        in_session = await asked.count({"session": run.session})
        of_user = max(1, int(self.unfinished_at_most * OF_ROOM)) - unfinished
        return max(0, min(of_user, self.operations_at_most - in_session))

    async def _ask(self, run: Run, made: Made, places: Sequence[Place]) -> dict[Place, str]:
        """Ask for operations; return why each was refused, or nothing. Some may be out of reach."""
        found = await self._operations(run, wanted(run, places))
        asking, free = pinned(self.asking, made.files), asyncio.Semaphore(AT_ONCE)
        outcomes: dict[Place, str] = {}

        async def one(place: Place) -> None:
            async with free:
                try:
                    await ask(asking, run, made, place, found)
                    outcomes[place] = ""
                except AlreadyExistsError:  # made before a kill
                    outcomes[place] = ""
                except PermanentError as error:
                    outcomes[place] = str(error)
                except TransientError as error:
                    log.warning("operation.asked_later", run=run.number, error=str(error))

        await asyncio.gather(*map(one, places))
        await self._check_session(run, places)
        return outcomes

    async def _check_session(self, run: Run, places: Sequence[Place]) -> None:
        """Take back what was asked for in a session that is gone."""
        try:
            await self.sessions.touch(await self.sessions.of(run.owner, run.session))
        except NotFoundError:
            numbers = [run.at(place).operation for place in places]
            for operation in (await self._operations(run, numbers)).values():
                await self.asking.forget(operation)
            raise

    async def _found(self, run: Run, numbers: Iterable[int]) -> dict[int, ShownOperation]:
        """Return operations by number, as they are stored; those that were lost have failed."""
        found = await self._operations(run, numbers)
        stored = {number: _as_stored(one) for number, one in found.items()}
        if run.news:  # most looks are about few operations; it is the others that find what was lost
            return stored
        going = [operation for operation in found.values() if not operation.state.is_final]
        live = await self.asking.shown(going, base_url="")
        return stored | {one.operation.number: _or_lost(one) for one in live}

    async def _operations(self, run: Run, numbers: Iterable[int]) -> dict[int, AskedOperation]:
        """Return the operations of a run that are there, by number."""
        found: dict[int, AskedOperation] = {}
        names = [operation_id(number) for number in numbers]
        for start in range(0, len(names), FOUND_AT_ONCE):
            part = tuple(names[start : start + FOUND_AT_ONCE])
            page = await self.sessions.asked.find({"id": OneOf(part)}, limit=len(part))
            found |= {one.body.number: one.body for one in page.items if one.body.session == run.session}
        return found

    async def stop(self, run: Run) -> None:
        """Stop the operations of a run that was cancelled; again with the same result."""
        numbers = [step.operation for _, step in run.places() if step.operation and not step.phase.is_final]
        ended: dict[int, ShownOperation] = {}
        for number, operation in (await self._operations(run, numbers)).items():
            with suppress(NotFoundError):
                ended[number] = _as_stored(await self.asking.cancel(operation))
        await self.runs.change(run.number, partial(stopped, found=ended))


def _as_stored(operation: AskedOperation) -> ShownOperation:
    return ShownOperation(operation, operation.state, operation.progress, operation.message, None)


def _or_lost(shown: ShownOperation) -> ShownOperation:
    """Return an operation whose computation is nowhere as one that has failed."""
    if shown.message != LOST:
        return shown
    return replace(shown, operation=shown.operation.model_copy(update={"state": State.FAILED}))
