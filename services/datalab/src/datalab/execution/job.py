"""What a worker and the process that computes for it say to each other: lines of JSON, and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RESULTS = "results"
"""The folder of an operation's own files, within the job's."""
ANSWER = "answer.json"
"""The file with what came out, within the job's folder."""
DATA = "data.json"
"""The file with data that are too large for the answer, within the job's folder."""
ANSWER_BYTES_AT_MOST = 8 << 20
DATA_BYTES_AT_MOST = 64 << 20

Why = Literal["user", "transient", "full", "memory", "broken"]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Job(_Said):
    """What a process is to compute."""

    operation: str
    """``module:class``."""
    inputs: Mapping[str, Any]
    paths: tuple[tuple[str, str, Path], ...]
    """Source, basename, and where the file is."""
    folder: Path
    settings: Mapping[str, str] = Field(default_factory=dict)
    data_bytes: int | None = None
    """Data of more bytes are written to a file of their own; None: none are."""


class Said(_Said):
    """One line of a process: that it is ready, how far it is, or how a job ended."""

    ready: bool = False
    progress: float | None = None
    done: bool = False
    failed: Why | None = None
    message: str = ""
    trace: str = ""
    resident_bytes: int = 0


class MadeFile(_Said):
    """One result: files within the job's folder ``results``, by kind."""

    paths: Mapping[str, str]
    comment: str = ""
    facts: Mapping[str, Any] = Field(default_factory=dict)


class Made(_Said):
    """What came out of a job."""

    files: tuple[MadeFile, ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()
    has_data_file: bool = False
    """The data are in a file of their own."""
    software: Mapping[str, str] = Field(default_factory=dict)
