"""Which questions can be asked about a file, and how a computing process answers one.

This is imported where nothing is computed, so that the modules with the answers are named and not imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from datalab.operations.operation import FileRef, Inputs, OperationError, OutputFile, Results, Work

MODULES: Mapping[str, str] = {
    "line-profile": "line_profile",
    "source-catalog": "source_catalog",
    "wcs": "wcs",
    "raw-data": "raw_data",
    "get-tif": "get_tif",
    "get-jpg": "get_jpg",
    "centroiding": "centroiding",
}
"""By the name in the URL; each has ``ASK``, a model, and ``answer``."""

LISTS: Mapping[str, str] = {"source-catalog": "sources"}
"""Whose answer is a list, which comes under this name; clients get it bare."""

Answer = Callable[..., dict[str, Any] | Path]


class Question(Inputs):
    """A question about one file."""

    action: str
    file: FileRef
    ask: dict[str, Any]


class Analysis:
    """All questions, in the form of an operation, as computing processes take it."""

    name: ClassVar[str] = "Analysis"
    description: ClassVar[str] = "Answers a question about one file."
    category: ClassVar[str] = "data"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[Question]] = Question

    @staticmethod
    def compute(inputs: Question, work: Work) -> Results:
        """Answer.

        Raises:
            OperationError: What is asked makes no sense, or the file has no answer.
        """
        module = import_module(f"datalab.analysis.{MODULES[inputs.action]}")
        ask = _validated(module, inputs.ask)
        answer: Answer = module.answer
        arguments = (work.path(inputs.file), ask, work.folder)
        found = answer(*arguments[: len(inspect.signature(answer).parameters)])
        if isinstance(found, Path):
            return Results(files=(OutputFile(tif=found),))
        return Results(data=(found,))


class AnyAsk(BaseModel):
    """What comes with every question."""

    model_config = ConfigDict(extra="allow")

    basename: str
    source: str = "archive"


def _validated(module: ModuleType, ask: Mapping[str, Any]) -> BaseModel:
    model: type[BaseModel] = module.ASK
    try:
        return model.model_validate(ask)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc'])) or 'input'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise OperationError("; ".join(faults[:10])) from error
