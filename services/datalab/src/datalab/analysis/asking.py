"""Questions about one file, answered while their caller waits: in a process of their own, that stays warm."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from datalab.analysis.actions import LISTS, Analysis, AnyAsk, Question
from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.execution.job import RESULTS, Job, Made
from datalab.execution.processes import CrashedError, Processes
from datalab.inputs.files import InputFiles
from datalab.operations.operation import FileRef, OperationError
from shared.errors import TransientError
from shared.objects.port import ObjectStore
from shared.turns import Turns

AT_ONCE = 2
WAITING_AT_MOST = 64
TIME_LIMIT_S = 60.0
IDLE_S = 900.0
MEMORY_BYTES = 2 << 30
PICTURES = "datalab/analysis"
"""Prefix of the files that are answers; one is named after the content that it was made of."""
PICTURED = frozenset({"get-tif"})
"""Questions whose answer is a file, which is the same whoever asks."""
VERSION = 1
"""Counted up when the same content gives another picture."""
PICTURES_SHOWN, PICTURES_KEPT = timedelta(days=20), timedelta(days=30)
"""One that is older is made again; it is deleted when no link that was given can lead to it."""
TIDY_EVERY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Key:
    """Names an object that is an answer."""

    key: str


@dataclass(slots=True)
class Analyses:
    """Answers questions, so many at a time."""

    files: InputFiles
    objects: ObjectStore
    processes: Processes
    _turns: Turns = field(
        default_factory=lambda: Turns(AT_ONCE, WAITING_AT_MOST, "Too many questions at once.")
    )

    async def answer(
        self, action: str, ask: Mapping[str, Any], caller: Caller
    ) -> Mapping[str, Any] | Sequence[Any] | Key:
        """Return the answer: JSON, or the key of an object that holds it.

        Args:
            action: One of those that there are.
            ask: Which file, and what the action wants to know besides.
            caller: Who asks; the file must be theirs to read.

        Raises:
            OperationError: There is no such file for the caller, or no answer.
            TransientError: Not now.
        """
        about = AnyAsk.model_validate(ask)
        ref = FileRef(basename=about.basename, source=about.source)
        (file,) = await self.files.identify([ref], caller)
        key = _picture_key(action, file)
        if action in PICTURED and await self._is_there(key):
            return Key(key)
        async with self._turns.turn(), self.files.scratch.folder() as folder:
            paths = await self.files.fetch([file], folder)
            made = await self._made(action, ask, ref, paths[file.name], folder)
            if made.data:
                return made.data[0][LISTS[action]] if action in LISTS else made.data[0]
            path = folder / RESULTS / made.files[0].paths["tif"]
            await self.objects.put(key, path, content_type="image/tiff")
            return Key(key)

    async def run(self) -> None:
        """Delete pictures that are old, now and then, for ever."""
        while True:
            with suppress(TransientError):
                await self.tidy(datetime.now(UTC) - PICTURES_KEPT)
            await asyncio.sleep(TIDY_EVERY_S)

    async def tidy(self, before: datetime) -> None:
        """Delete pictures that were made before a moment."""
        async for stored in self.objects.list(f"{PICTURES}/"):
            if stored.modified_at < before:
                await self.objects.delete(stored.key)

    async def _is_there(self, key: str) -> bool:
        stored = await self.objects.stat(key)
        return stored is not None and datetime.now(UTC) - stored.modified_at < PICTURES_SHOWN

    async def _made(
        self, action: str, ask: Mapping[str, Any], ref: FileRef, path: Path, folder: Path
    ) -> Made:
        question = Question(action=action, file=ref, ask=dict(ask))
        job = Job(
            operation=f"{Analysis.__module__}:{Analysis.__name__}",
            inputs=question.model_dump(mode="json"),
            paths=((ref.source, ref.basename, path),),
            folder=folder,
        )
        try:
            return await self.processes.compute(job, lambda _: None)
        except CrashedError as error:
            raise OperationError(f"{ref.basename} is too much to be looked at: {error}") from error


def _picture_key(action: str, file: InputFile) -> str:
    return f"{PICTURES}/{hashlib.sha256(f'{action} {VERSION} {file.content}'.encode()).hexdigest()}.tif"
