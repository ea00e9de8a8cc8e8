"""One computation from its inputs to its stored outputs."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from datalab.domain.computations import Computation, Outcome
from datalab.execution.job import Job
from datalab.execution.processes import Processes
from datalab.execution.storing import Storing
from datalab.inputs.files import InputFiles
from datalab.operations.operation import OperationError
from datalab.operations.registry import Registry
from shared.errors import StorageFullError

FETCHED = 0.1
"""Share of the progress that having all inputs is."""
COMPUTED = 0.95
DATA_BYTES = 32 << 10
"""Data of more are an object: each operation that shares them has a copy, and lists read them all."""


@dataclass(frozen=True, slots=True)
class Computing:
    """Fetches, computes and stores; again from anywhere."""

    registry: Registry
    files: InputFiles
    processes: Processes
    storing: Storing
    settings: Mapping[str, str]
    """What operations need to know; ``computation_key`` is added."""

    async def compute(self, one: Computation, progress: Callable[[float], None]) -> Outcome:
        """Return what came out, every output stored.

        Raises:
            OperationError: The inputs do not allow it.
            TransientError: Something does not answer now.
            CrashedError: The process ended over it.
            PermanentError: It cannot be computed for another reason.
        """
        try:
            return await self._computed(one, progress)
        except StorageFullError:
            await self.files.cache.make_room()  # for the next attempt
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            await self.files.cache.make_room()
            raise StorageFullError("No space is left on the worker's disk") from error

    async def _computed(self, one: Computation, progress: Callable[[float], None]) -> Outcome:
        operation = self._operation(one)
        async with self.files.scratch.folder() as folder:
            fetched = folder / "inputs"
            await asyncio.to_thread(fetched.mkdir)
            paths = await self.files.fetch(one.files, fetched, lambda done: progress(done * FETCHED))
            job = Job(
                operation=operation,
                inputs=one.inputs,
                paths=tuple((source, basename, path) for (source, basename), path in paths.items()),
                folder=folder,
                settings={**self.settings, "computation_key": one.key},
                data_bytes=DATA_BYTES,
            )
            made = await self.processes.compute(
                job, lambda done: progress(FETCHED + done * (COMPUTED - FETCHED))
            )
            progress(COMPUTED)
            return await self.storing.store(one, folder, made)

    def _operation(self, one: Computation) -> str:
        if one.name not in self.registry:
            raise OperationError(f"There is no operation {one.name} any more.")
        kind = self.registry[one.name]
        if kind.version != one.version:
            raise OperationError(f"{one.name} was changed meanwhile; retry the operation.")
        return f"{kind.__module__}:{kind.__qualname__}"
