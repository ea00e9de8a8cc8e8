"""Operations of runs are asked for, by those who were found to be allowed to when the recipe was applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datalab.clock import now_us
from datalab.domain.asked import AskedOperation
from datalab.domain.computations import InputFile
from datalab.domain.recipes import Files, Json, WrongReferenceError, files_in, filled
from datalab.domain.runs import Made, Phase, Place, Run
from datalab.domain.users import Caller
from datalab.execution.asking import Asking
from datalab.inputs.port import FileSource
from datalab.operations.operation import FileRef, OperationError
from shared.state import AlreadyExistsError

NO_RESULT = 'Step "{}" has no result any more: its operation was deleted.'


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source that knows some files already: which ones they are, and that the run's owner may see them."""

    known: Mapping[tuple[str, str], InputFile]
    source: FileSource

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return which file is meant.

        Raises:
            OperationError: There is none, or ``caller`` may not see it.
        """
        known = self.known.get((ref.source, ref.basename))
        return known or await self.source.find(ref, caller)

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Write the whole content to a new file."""
        await self.source.fetch(file, to)

    def local_path(self, file: InputFile) -> Path | None:
        """Return where the content lies on this machine already."""
        return self.source.local_path(file)


def pinned(asking: Asking, files: Sequence[InputFile]) -> Asking:
    """Return what asks for operations on files that need not be found once more.

    The owner's token, which opens the archive, is not kept: so it is with the files of a computation, too.
    """
    known = {file.name: file for file in files}
    sources = {name: Pinned(known, source) for name, source in asking.files.sources.items()}
    return replace(asking, files=replace(asking.files, sources=sources))


def wanted(run: Run, places: Sequence[Place]) -> set[int]:
    """Return the numbers of the operations of steps, and of those whose outputs they work on."""
    wanted = {run.at(place).operation for place in places}
    return wanted | {
        run.at((one, need)).operation for one, place in places for need in run.steps[place].needs
    }


async def ask(
    asking: Asking, run: Run, made: Made, place: Place, found: Mapping[int, AskedOperation]
) -> None:
    """Ask for an operation, or try it again.

    Raises:
        PermanentError: It cannot work; the message is for users.
        AlreadyExistsError: It was asked for before.
        TransientError: It cannot be asked for now.
    """
    step, caller = run.at(place), Caller(run.owner)
    there = found.get(step.operation)
    if there is not None and step.phase is Phase.AGAIN:
        await asking.retry(there, caller)
        return
    if there is not None:
        raise AlreadyExistsError(there.document_id)
    operation = AskedOperation(
        number=step.operation,
        session=run.session,
        owner=run.owner,
        name=run.steps[place[1]].operation,
        input_data=_inputs(run, made, place, found),
        created_us=now_us(),
    )
    await asking.ask(operation, caller)


def _inputs(run: Run, made: Made, place: Place, found: Mapping[int, AskedOperation]) -> dict[str, Any]:
    """Return the input data of a step's operation.

    Raises:
        OperationError: The steps before did not make what it works on.
    """
    number, at = place
    outputs: dict[int, list[Json]] = {}
    for need in run.steps[at].needs:
        operation = found.get(run.at((number, need)).operation)
        if operation is None or operation.output is None:
            raise OperationError(NO_RESULT.format(run.steps[need].name))
        outputs[need] = files_in(operation.output)
    files = Files([step.name for step in run.steps[:at]], made.sets[number], outputs)
    try:
        return filled(made.steps[at].input_data, files)
    except WrongReferenceError as error:
        raise OperationError(f"It {error}.") from error
