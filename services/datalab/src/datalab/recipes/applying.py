"""Recipes are applied, and their runs stopped and tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from datalab.clock import now_us
from datalab.domain.asked import State
from datalab.domain.recipes import Json, Recipe, needs
from datalab.domain.run_changes import cancelled, retried
from datalab.domain.runs import FILES_AT_MOST, SETS_AT_MOST, STEPS_AT_MOST, Made, Run, StepOfRecipe, StepOfRun
from datalab.domain.users import Caller
from datalab.inputs.files import InputFiles
from datalab.operations.operation import FileRef
from datalab.operations.registry import Registry
from datalab.recipes.checking import files_wanted
from datalab.recipes.running import LOOK_EVERY_S, Running
from datalab.recipes.runs import UNFINISHED_STATES, Runs
from datalab.wire.errors import RefusedError, at_fault

UNFINISHED_AT_MOST = 100
"""Runs of a user that have not ended."""
IN_SESSION_AT_MOST = 1_000
FILE_AT_MOST_BYTES = 8_192
"""What is said of a file."""
FILES = "inputs"
SETS = "sets"


@dataclass(frozen=True, slots=True)
class Applying:
    """What routes do with runs."""

    runs: Runs
    running: Running
    files: InputFiles
    registry: Registry

    async def apply(self, recipe: Recipe, session: int, sets: Mapping[str, list[Json]], user: Caller) -> Run:
        """Apply a recipe to sets of files, by what errors call them, in a session of the same user.

        Raises:
            OperationError: A file does not exist, or ``user`` may not see it.
            RefusedError: The files do not suit the recipe, or there are too many runs.
        """
        await self._check_room(user.name, session, len(sets) * len(recipe.steps))
        wanted = await asyncio.to_thread(files_wanted, recipe.steps, sets, self.registry)
        files = await self.files.identify(wanted, user)
        run = _run(await self.runs.numbers.next("run"), recipe, session, len(sets))
        made = Made(steps=recipe.steps, sets=tuple(map(tuple, sets.values())), files=files)
        await self.runs.create(run, made)
        await self.running.now(run.number)
        return await self.runs.of(user.name, run.number)

    async def cancel(self, run: Run) -> Run:
        """Stop a run and its operations; one that has ended stays as it is."""
        return await self._go_on(await self.runs.change(run.number, partial(cancelled, now_us=now_us())))

    async def retry(self, run: Run, user: Caller) -> Run:
        """Go on with a run that failed or was cancelled, from there; others stay as they are.

        Raises:
            OperationError: A file does not exist any more, or ``user`` may not see it any more.
        """
        if run.state not in (State.FAILED, State.CANCELLED):
            return run
        made = (await self.runs.made.load(run.document_id)).body
        refs = [FileRef(basename=file.basename, source=file.source) for file in made.files]
        files = await self.files.identify(refs, user)
        await self.runs.made.update(run.document_id, lambda old: old.model_copy(update={"files": files}))
        return await self._go_on(await self.runs.change(run.number, partial(retried, now_us=now_us())))

    async def delete(self, run: Run) -> None:
        """Stop a run and delete it; its operations stay in the session."""
        await self.running.stop(await self.cancel(run))
        await self.runs.delete(run.number)

    async def _go_on(self, run: Run) -> Run:
        await self.running.now(run.number)
        return await self.runs.of(run.owner, run.number)

    async def _check_room(self, owner: str, session: int, steps: int) -> None:
        documents = self.runs.documents
        if await documents.count({"owner": owner, "state": UNFINISHED_STATES}) >= UNFINISHED_AT_MOST:
            raise _too_many(f"You have {UNFINISHED_AT_MOST} runs that have not ended: wait for some.")
        if await documents.count({"session": session}) >= IN_SESSION_AT_MOST:
            raise _too_many(f"This session has {IN_SESSION_AT_MOST} runs: delete some first.")
        at_most = self.running.operations_at_most
        if await self.running.sessions.asked.count({"session": session}) + steps > at_most:
            raise _too_many(f"A session has at most {at_most} operations: delete some, or make another one.")


def checked_sets(fields: dict[str, Any], recipe: Recipe) -> dict[str, list[Json]]:
    """Return what a recipe is to be applied to, one set of files or several, by what errors call them.

    Raises:
        RefusedError: They are no files, or too many.
    """
    if (FILES in fields) == (SETS in fields):
        raise at_fault(
            {FILES: [f"Give either `{FILES}`, a list of files, or `{SETS}`, a list of such lists."]}
        )
    sets = {FILES: fields[FILES]} if FILES in fields else _named(fields[SETS])
    if len(sets) * len(recipe.steps) > STEPS_AT_MOST:
        raise at_fault({SETS: [f"A run has at most {STEPS_AT_MOST} steps, of all sets together."]})
    found = {name: _files(name, value) for name, value in sets.items()}
    if sum(map(len, found.values())) > FILES_AT_MOST:
        raise at_fault(
            {next(iter(fields.keys() & {FILES, SETS})): [f"A run has at most {FILES_AT_MOST} files."]}
        )
    return found


def _named(sets: Any) -> dict[str, Any]:
    if not isinstance(sets, list) or not 0 < len(sets) <= SETS_AT_MOST:
        raise at_fault({SETS: [f"Expected a list of 1 to {SETS_AT_MOST} lists of files."]})
    return {f"{SETS}.{number}": one for number, one in enumerate(sets)}


def _files(name: str, value: Any) -> list[Json]:
    if not isinstance(value, list):
        raise at_fault({name: [f'Expected a list of items but got type "{type(value).__name__}".']})
    return [_file(f"{name}.{place}", one) for place, one in enumerate(value)]


def _file(path: str, value: Any) -> Json:
    """Return a file without what clients nest in it: it is repeated for each step that works on it."""
    try:
        FileRef.model_validate(value)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        raise at_fault({".".join(map(str, (path, *detail["loc"]))): [detail["msg"]]}) from error
    plain = {key: one for key, one in value.items() if not isinstance(one, dict | list)}
    if len(to_json(plain)) > FILE_AT_MOST_BYTES:
        raise at_fault({path: [f"A file has at most {FILE_AT_MOST_BYTES} bytes of JSON."]})
    return plain


def _run(number: int, recipe: Recipe, session: int, sets: int) -> Run:
    names = [step.name for step in recipe.steps]
    steps = tuple(
        StepOfRecipe(name=step.name, operation=step.operation, needs=needs(step, names[:place]))
        for place, step in enumerate(recipe.steps)
    )
    return Run(
        number=number,
        owner=recipe.owner,
        session=session,
        recipe=recipe.number,
        name=recipe.name,
        steps=steps,
        sets=(tuple(StepOfRun() for _ in steps),) * sets,
        due_s=time.time() + LOOK_EVERY_S,
        created_us=now_us(),
    )


def _too_many(message: str) -> RefusedError:
    return RefusedError(message, status=429, headers={"Retry-After": "30"})
