"""Small operations that do on purpose what others do by accident; computed by real processes."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from datalab.operations.operation import FileRef, Inputs, OperationError, OutputFile, Results, Work
from datalab.operations.registry import Registry
from shared.errors import TransientError


class SumInputs(Inputs):
    """Files, and how long to take over them."""

    input_files: Annotated[list[FileRef], Field(min_length=1, max_length=1000)]
    take_s: float = 0.0
    outputs: int = 1
    rows: int = 0
    """Of data, a hundred bytes each."""


class Sum:
    """Adds up the bytes of its files."""

    name: ClassVar[str] = "Sum"
    description: ClassVar[str] = "Adds up bytes."
    category: ClassVar[str] = "image"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = SumInputs
    unordered: ClassVar[frozenset[str]] = frozenset({"input_files"})

    @staticmethod
    def compute(inputs: SumInputs, work: Work) -> Results:
        """Write sums, slowly if wanted, telling how far it is."""
        _note_run(f"{inputs.take_s}")
        ends = time.monotonic() + inputs.take_s
        while (left_s := ends - time.monotonic()) > 0:
            work.progress(1 - left_s / inputs.take_s)
            time.sleep(min(left_s, 0.02))
        total = sum(sum(work.path(ref).read_bytes()) for ref in inputs.input_files)
        files = []
        for number in range(inputs.outputs):
            path = work.folder / f"sum{number}.fits"
            path.write_bytes(f"{total} {number}".encode())
            small = work.folder / f"sum{number}.jpg"
            small.write_bytes(f"picture of {total}".encode())
            files.append(OutputFile(fits=path, large_jpg=small, small_jpg=small))
        rows = {"rows": [f"{number:0100}" for number in range(inputs.rows)]} if inputs.rows else {}
        return Results(files=files, data=[{"total": total, "nothing": float("nan"), **rows}])


class TroubleInputs(Inputs):
    """What is to go wrong."""

    input_files: Annotated[tuple[FileRef, ...], Field(max_length=10)] = ()
    how: Literal[
        "refuse",
        "exit",
        "os_exit",
        "kill_itself",
        "memory",
        "bug",
        "hang",
        "transient",
        "escape",
        "huge",
        "chatter",
        "fill",
        "abort",
        "segfault",
    ]
    marks: str = ""
    """A folder in which each run leaves a file."""
    times: int = 1_000
    """How often it goes wrong, before it goes well."""
    nonce: str = ""


class Trouble:
    """Goes wrong as asked."""

    name: ClassVar[str] = "Trouble"
    description: ClassVar[str] = "Goes wrong."
    category: ClassVar[str] = "data"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Inputs]] = TroubleInputs

    @staticmethod
    def compute(inputs: TroubleInputs, work: Work) -> Results:
        """Go wrong, so many times."""
        runs = _count(inputs.marks)
        if runs <= inputs.times:
            return _go_wrong(inputs.how, work)
        return Results(data=[{"runs": runs}])


def _go_wrong(how: str, work: Work) -> Results:
    if how == "hang":
        work.progress(0.5)
        time.sleep(3600)
    if how == "fill":
        (work.folder / "large").write_bytes(bytes(2 << 20))
        return Results(data=[{"ok": True}])
    return _WAYS[how]()


def _refuse() -> Results:
    raise OperationError("These frames have different filters.")


def _kill_itself() -> Results:
    os.kill(os.getpid(), 9)
    raise AssertionError


def _abort() -> Results:
    os.abort()
    raise AssertionError


def _segfault() -> Results:
    ctypes.string_at(0)
    raise AssertionError


def _take_memory() -> Results:
    kept: list[Any] = [bytearray(16 << 20) for _ in range(64)]
    return Results(data=[{"kept": len(kept)}])


def _be_broken() -> Results:
    raise ZeroDivisionError("by zero")


def _miss_a_server() -> Results:
    raise TransientError("Gaia does not answer")


def _chatter() -> Results:
    print('{"done": true}' * 100_000)  # noqa: T201 - as libraries do
    return Results(data=[{"ok": True}])


_WAYS: dict[str, Callable[[], Results]] = {
    "refuse": _refuse,
    "exit": lambda: sys.exit("a catalogue has no column X"),
    "os_exit": lambda: os._exit(3),
    "kill_itself": _kill_itself,
    "memory": _take_memory,
    "bug": _be_broken,
    "transient": _miss_a_server,
    "escape": lambda: Results(files=[OutputFile(fits=Path("/etc/hostname"))]),
    "abort": _abort,
    "segfault": _segfault,
    "huge": lambda: Results(data=[{"text": "x" * (65 << 20)}]),
    "chatter": _chatter,
}


def _count(folder: str) -> int:
    if not folder:
        return 1
    path = Path(folder)
    (path / f"{time.time_ns()}").touch()
    return len(list(path.iterdir()))


def _note_run(what: str) -> None:
    """Leave a line where the test looks for how often things were computed."""
    runs = os.environ.get("FLIGHTLINE_TEST_RUNS")
    if runs:
        with Path(runs).open("a") as file:
            file.write(f"{os.getpid()} {time.time():.3f} {what}\n")


REGISTRY = Registry.of(Sum, Trouble)
