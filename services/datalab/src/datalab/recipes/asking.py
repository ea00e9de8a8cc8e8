"""Operations of runs are asked for, by those who were found to be allowed to when the recipe was applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.execution.asking import Asking
from datalab.inputs.port import FileSource
from datalab.operations.operation import FileRef


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
