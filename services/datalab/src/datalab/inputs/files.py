"""Inputs of operations: who may use them, which bytes they are, and where those are on this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.inputs.cache import FileCache
from datalab.inputs.port import FileSource
from datalab.inputs.scratch import Scratch
from datalab.operations.operation import FileRef, OperationError
from datalab.together import together

FINDS_AT_ONCE = 16
FETCHES_AT_ONCE = 4
NAME_AT_MOST_CHARACTERS = 100


@dataclass(slots=True)
class InputFiles:
    """All sources, and the files that came from them."""

    cache: FileCache
    scratch: Scratch
    sources: Mapping[str, FileSource] = field(default_factory=dict)

    async def identify(self, refs: Iterable[FileRef], caller: Caller) -> tuple[InputFile, ...]:
        """Return which files are meant, each once, in the order in which they are named first.

        Raises:
            OperationError: One does not exist, or ``caller`` may not see it.
            TransientError: A source does not answer.
        """
        distinct = list({(ref.source, ref.basename): ref for ref in refs}.values())
        return tuple(await together(FINDS_AT_ONCE, [partial(self._find, ref, caller) for ref in distinct]))

    async def check(self, files: Sequence[InputFile], caller: Caller) -> None:
        """Raise ``OperationError`` unless ``caller`` may see all of these files."""
        await self.identify((FileRef(basename=file.basename, source=file.source) for file in files), caller)

    async def fetch(
        self, files: Sequence[InputFile], folder: Path, progress: Callable[[float], None] = lambda _: None
    ) -> dict[tuple[str, str], Path]:
        """Bring files into ``folder``; return where each of them is.

        Raises:
            OperationError: One cannot be had.
            TransientError: One cannot be had now.
        """
        done = 0

        async def one(number: int, file: InputFile) -> tuple[tuple[str, str], Path]:
            nonlocal done
            path = await self._fetched(file, folder / f"{number:04}-{_safe(file.basename)}")
            done += 1
            progress(done / len(files))
            return file.name, path

        works = [partial(one, number, file) for number, file in enumerate(files)]
        return dict(await together(FETCHES_AT_ONCE, works))

    @asynccontextmanager
    async def local(self, ref: FileRef, caller: Caller) -> AsyncIterator[Path]:
        """Have one file on this machine while the block runs; it is not to be changed.

        Raises:
            OperationError: It does not exist, or ``caller`` may not see it.
            TransientError: Its source does not answer.
        """
        (file,) = await self.identify([ref], caller)
        async with self.scratch.folder() as folder:
            yield (await self.fetch([file], folder))[file.name]

    async def _find(self, ref: FileRef, caller: Caller) -> InputFile:
        source = self.sources.get(ref.source)
        if source is None:
            raise OperationError(
                f"{ref.basename}: a file's source is one of {', '.join(sorted(self.sources))},"
                f" not {ref.source[:50]!r}"
            )
        return await source.find(ref, caller)

    async def _fetched(self, file: InputFile, to: Path) -> Path:
        source = self.sources[file.source]
        there = await asyncio.to_thread(source.local_path, file)
        if there is not None:
            return there
        await self.cache.link(file.content, to, partial(source.fetch, file))
        return to


def _safe(basename: str) -> str:
    """Return a file name that ends as the basename does, which tells readers of its format."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", basename)[-NAME_AT_MOST_CHARACTERS:]
