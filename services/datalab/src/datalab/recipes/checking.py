"""Whether recipes can work: when they are written, and with the files that they are applied to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from annotated_types import MinLen
from pydantic import ValidationError
from pydantic_core import to_json

from datalab.domain.keys import files_of
from datalab.domain.recipes import (
    INPUTS,
    REFERENCE_AT_MOST_BYTES,
    STEPS_AT_MOST,
    STEPS_AT_MOST_BYTES,
    UNKNOWN,
    Files,
    Json,
    Step,
    WrongReferenceError,
    filled,
    origin_of,
    references,
)
from datalab.operations.operation import FileRef, Inputs
from datalab.operations.registry import Registry
from datalab.wire import fields as wire
from datalab.wire.errors import RefusedError, at_fault

FAULTS_AT_MOST = 20

Faults = dict[str, list[str]]


def steps_of(value: Any, registry: Registry) -> tuple[Step, ...]:
    """Return the steps of a recipe as it is written; each suits its operation as far as can be known.

    Raises:
        RefusedError: They are wrong, and where.
    """
    found = wire.items(value)
    if not found:
        raise wire.WrongError("A recipe has at least one step.")
    if len(found) > STEPS_AT_MOST:
        raise wire.WrongError(f"Ensure this field has no more than {STEPS_AT_MOST} elements.")
    if len(to_json(found)) > STEPS_AT_MOST_BYTES:
        raise wire.WrongError(f"The steps of a recipe have at most {STEPS_AT_MOST_BYTES} bytes.")
    faults: Faults = {}
    steps: list[Step] = []
    for place, one in enumerate(found):
        try:
            steps.append(_step(one, [step.name for step in steps], registry))
        except RefusedError as error:
            under = f"steps.{place}"
            faults |= {f"{under}.{name}".rstrip("."): [*told] for name, told in (error.faults or {}).items()}
            steps.append(_named(one, place))  # later ones may mean it
    if faults:
        raise at_fault(dict(list(faults.items())[:FAULTS_AT_MOST]))
    return tuple(steps)


def files_wanted(
    steps: Sequence[Step], sets: Mapping[str, Sequence[Json]], registry: Registry
) -> list[FileRef]:
    """Return the files that a recipe works on when it is applied, each once.

    Args:
        steps: The recipe's.
        sets: What it is applied to, one after the other, by what errors call them.
        registry: The operations that there are.

    Raises:
        RefusedError: The recipe does not suit them.
    """
    names = [step.name for step in steps]
    found: dict[tuple[str, str], FileRef] = {}
    for called, inputs in sets.items():
        for place, step in enumerate(steps):
            try:
                model = _suiting(step, Files(names[:place], inputs), registry)
            except RefusedError as error:
                raise at_fault({called: [f'Step "{step.name}": {error}']}) from error
            found |= {(ref.source, ref.basename): ref for ref in files_of(model) if ref.source != UNKNOWN}
    return list(found.values())


def _named(one: Any, place: int) -> Step:
    fields = one if isinstance(one, dict) else {}
    name = fields.get("name", fields.get("operation"))
    return Step(name=name if isinstance(name, str) else f"{place}", operation="", input_data={})


def _step(one: Any, before: Sequence[str], registry: Registry) -> Step:
    if not isinstance(one, dict):
        raise at_fault({"": [f'Expected a dictionary of items but got type "{type(one).__name__}".']})
    operation = wire.field(one, "operation", wire.text)
    if operation not in registry:
        raise at_fault({"operation": [f'"{operation}" is not a valid choice.']})
    name = wire.optional(one, "name", wire.text) or operation
    if name == INPUTS or name in before:
        raise at_fault({"name": [f'"{name}" is taken: give each step a name of its own.']})
    input_data = wire.optional(one, "input_data", wire.mapping) or {}
    step = Step(name=name, operation=operation, input_data=input_data)
    if faults := {f"input_data.{path}": [told] for path, told in _lost(step, before)}:
        raise at_fault(faults)
    _suiting(step, Files(before), registry)
    return step


def _lost(step: Step, before: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the references that lead nowhere, or are too large, and why."""
    for path, reference in references(step.input_data):
        if len(to_json(reference)) > REFERENCE_AT_MOST_BYTES:
            yield path, f"A reference has at most {REFERENCE_AT_MOST_BYTES} bytes."
        try:
            origin_of(reference, before)
        except WrongReferenceError as error:
            yield path, str(error)


def _suiting(step: Step, files: Files, registry: Registry) -> Inputs:
    """Return the inputs of a step's operation, with files that stand for those that are not known."""
    if step.operation not in registry:
        raise at_fault({"operation": [f'"{step.operation}" is not a valid choice.']})
    model = registry[step.operation].inputs
    try:
        return model.model_validate(filled(step.input_data, files, partial(_at_least, model)))
    except WrongReferenceError as error:
        raise at_fault({"input_data": [str(error)]}) from error
    except ValidationError as error:
        raise at_fault(_told(error)) from error


def _told(error: ValidationError) -> Faults:
    faults: Faults = {}
    details = error.errors(include_url=False, include_input=False, include_context=False)
    for one in details[:FAULTS_AT_MOST]:
        path = ".".join(map(str, ("input_data", *one["loc"])))
        message = wire.REQUIRED if one["type"] == "missing" else one["msg"].removeprefix("Value error, ")
        faults.setdefault(path, []).append(message[: wire.SHOWN_AT_MOST_CHARACTERS])
    return faults


def _at_least(model: type[Inputs], name: str) -> int:
    """Return how many files a field takes at least."""
    metadata = model.model_fields[name].metadata if name in model.model_fields else ()
    return max([1, *(one.min_length for one in metadata if isinstance(one, MinLen))])
