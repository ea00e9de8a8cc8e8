"""What makes two computations the same: the operation, its parameters, and the content of its files.

Files count by content and by the name that results repeat, and not by the other things that clients send
along with them. Lists count in their order, which decides the order of the outputs and whose header a result
gets, but for those that the operation declares as ``unordered``: they are sorted, for the key and for the
computation alike, so that everybody gets the same result however they sorted their files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel

from datalab.operations.operation import FileRef, Inputs

I = TypeVar("I", bound=Inputs)  # noqa: E741 - as in ``Operation``

Contents = Mapping[tuple[str, str], str]
"""What names a file's bytes, by source and basename."""

_OF_A_FILE = frozenset(FileRef.model_fields)


def files_of(value: object) -> Iterator[FileRef]:
    """Yield every file that inputs name, in order; one that is named twice comes twice."""
    match value:
        case FileRef():
            yield value
        case BaseModel():
            for name in type(value).model_fields:
                yield from files_of(getattr(value, name))
        case Mapping():
            for item in value.values():
                yield from files_of(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from files_of(item)
        case _:
            return


def unordered_of(operation: type[Any]) -> frozenset[str]:
    """Return the names of an operation's inputs whose order means nothing."""
    return frozenset(getattr(operation, "unordered", ()))


def in_order(inputs: I, contents: Contents, unordered: frozenset[str]) -> I:
    """Return the inputs with the lists of ``unordered`` sorted by name and content of their files."""

    def place(item: object) -> tuple[str, str]:
        names = ",".join(ref.basename for ref in files_of(item))
        return names, _text(_canonical(item, contents))

    lists = {name: getattr(inputs, name, None) for name in sorted(unordered)}
    found = {name: items for name, items in lists.items() if isinstance(items, list | tuple)}
    return inputs.model_copy(
        update={name: type(items)(sorted(items, key=place)) for name, items in found.items()}
    )


def key_of(name: str, version: int, inputs: Inputs, contents: Contents) -> str:
    """Return the name of a computation; ``contents`` has all of its files."""
    parts = {"operation": name, "version": version, "inputs": _canonical(inputs, contents)}
    return hashlib.sha256(_text(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: object, contents: Contents) -> object:
    """Return JSON that is the same for what means the same."""
    match value:
        case FileRef():
            return _of_file(value, contents)
        case BaseModel():
            return _of_mapping(_fields(value), contents)
        case Mapping():
            return _of_mapping(value, contents)
        case list() | tuple():
            return [_canonical(item, contents) for item in value]
        case set() | frozenset():
            return sorted((_canonical(item, contents) for item in value), key=_text)
        case _:
            return _of_scalar(value)


def _of_scalar(value: object) -> object:
    if isinstance(value, Enum):
        return _of_scalar(value.value)
    if isinstance(value, float):
        return value + 0.0  # there are two zeros
    return value if isinstance(value, bool | int | str | None) else str(value)


def _of_file(ref: FileRef, contents: Contents) -> object:
    more = {name: value for name, value in _fields(ref).items() if name not in _OF_A_FILE}
    content = contents[ref.source, ref.basename]
    return {"content": content, "name": ref.basename, **_of_mapping(more, contents)}


def _fields(model: BaseModel) -> dict[str, object]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def _of_mapping(fields: Mapping[Any, object], contents: Contents) -> dict[str, object]:
    return {str(name): _canonical(item, contents) for name, item in fields.items()}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
