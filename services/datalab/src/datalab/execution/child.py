"""A process that computes operations, one after the other, for as long as its parent lives.

    python -m datalab.execution.child PARENT NICENESS MEMORY_BYTES

A job is a line of JSON on standard input; progress and the end of it are lines on standard output, and what
came out is a file. What it has imported and compiled stays for the next job.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from datalab.execution.job import (
    ANSWER,
    ANSWER_BYTES_AT_MOST,
    DATA,
    DATA_BYTES_AT_MOST,
    RESULTS,
    Job,
    Made,
    MadeFile,
    Said,
    Why,
)
from datalab.operations.operation import FileRef, Operation, OperationError, OutputFile
from datalab.operations.operation import Results as OperationResults
from shared.child import answers, be_a_child
from shared.errors import InvalidInputError, NotFoundError, TransientError

_TELL_EVERY_S = 0.2
_TRACE_AT_MOST = 4_000
_NUMBERS = frozenset({int, float})
_KINDS = {
    "fits": "fits",
    "large_jpg": "large",
    "small_jpg": "small",
    "tif": "tif",
    "diagnostic_jpg": "diagnostic",
}
_SOFTWARE = ("datalab", "numpy", "astropy", "photutils", "opencv-python-headless", "numba")


class ChildWork:
    """What an operation may use; see ``Work``."""

    def __init__(self, job: Job, say: IO[str]) -> None:
        self.folder = job.folder / RESULTS
        self.settings: Mapping[str, str] = job.settings
        self._paths = {(source, basename): path for source, basename, path in job.paths}
        self._say = say
        self._done = 0.0
        self._told_s = 0.0

    def path(self, ref: FileRef) -> Path:
        """Return the whole local file of one of the inputs."""
        return self._paths[ref.source, ref.basename]

    def progress(self, done: float) -> None:
        """Tell how much is done, 0 to 1; what is less than before is ignored."""
        now_s = time.monotonic()
        if not done > self._done or now_s - self._told_s < _TELL_EVERY_S:
            return
        self._done, self._told_s = min(float(done), 1.0), now_s
        _tell(self._say, Said(progress=self._done))


def main() -> None:
    """Compute until standard input ends."""
    parent, niceness, memory_bytes = (int(one) for one in sys.argv[1:4])
    be_a_child(parent, niceness)
    _limit(memory_bytes)
    say = answers()
    _tell(say, Said(ready=True))
    for line in sys.stdin:
        _tell(say, _ended(Job.model_validate_json(line), say))


def _limit(memory_bytes: int) -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not for every platform

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each unpacked input keeps one open


def _ended(job: Job, say: IO[str]) -> Said:
    """Compute a job and return how that ended, whatever a library does."""
    try:
        _compute(job, say)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - libraries call sys.exit, too
        said = _failure(error)
        return said.model_copy(update={"message": said.message.replace(f"{job.folder}/", "")})
    return Said(done=True, resident_bytes=_resident_bytes())


def _failure(error: BaseException) -> Said:
    match error:
        case OperationError() | InvalidInputError() | NotFoundError():
            return _failed("user", str(error))
        case TransientError():
            return _failed("transient", str(error))
        case OSError(errno=errno.ENOSPC):
            return _failed("full", "No space is left on the worker's disk")
        case MemoryError():
            return _failed("memory", "it takes more memory than it may")
        case _:
            trace = traceback.format_exc()[-_TRACE_AT_MOST:]
            return _failed("broken", f"{type(error).__name__}: {error}", trace)


def _failed(why: Why, message: str, trace: str = "") -> Said:
    return Said(failed=why, message=message[:2000], trace=trace, resident_bytes=_resident_bytes())


def _compute(job: Job, say: IO[str]) -> None:
    module, _, name = job.operation.partition(":")
    operation: type[Operation[Any]] = getattr(import_module(module), name)
    inputs = operation.inputs.model_validate(job.inputs)
    work = ChildWork(job, say)
    work.folder.mkdir()
    results = operation.compute(inputs, work)
    data = _data(results)
    has_data_file = job.data_bytes is not None and _is_written(data, job.folder / DATA, job.data_bytes)
    made = Made(
        files=tuple(_made_file(work.folder, file) for file in results.files),
        data=() if has_data_file else data,
        has_data_file=has_data_file,
        software=_software(),
    )
    content = made.model_dump_json().encode()
    _check_size(len(content), ANSWER_BYTES_AT_MOST)
    (job.folder / ANSWER).write_bytes(content)


def _is_written(data: tuple[Any, ...], path: Path, at_least_bytes: int) -> bool:
    """Write data to a file as JSON, if they have more than so many bytes."""
    content = json.dumps(data, separators=(",", ":")).encode()
    _check_size(len(content), DATA_BYTES_AT_MOST)
    if len(content) <= at_least_bytes:
        return False
    path.write_bytes(content)
    return True


def _check_size(size_bytes: int, at_most: int) -> None:
    if size_bytes > at_most:
        raise OperationError(
            f"The result has {size_bytes} bytes of data, and {at_most} at most are kept; use fewer files."
        )


def _made_file(folder: Path, file: OutputFile) -> MadeFile:
    paths = {}
    for field, kind in _KINDS.items():
        path: Path | None = getattr(file, field)
        if path is not None:
            paths[kind] = str(path.resolve().relative_to(folder.resolve()))
    return MadeFile(paths=paths, comment=file.comment, facts=_plain(file.facts))


def _data(results: OperationResults) -> tuple[Any, ...]:
    return tuple(_plain(one) for one in results.data)


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON: numbers of libraries as Python's, and None for what is no number."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return list(value) if _is_plain(value) else [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def _is_plain(values: Sequence[Any]) -> bool:
    """Return whether values are finite numbers of Python's: an image's are looked at together."""
    if not _NUMBERS.issuperset(map(type, values)):
        return False
    try:
        return math.isfinite(math.fsum(values))
    except OverflowError:
        return False


def _software() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tell(say: IO[str], said: Said) -> None:
    say.write(json.dumps(said.model_dump(exclude_defaults=True)) + "\n")
    say.flush()


if __name__ == "__main__":
    main()
