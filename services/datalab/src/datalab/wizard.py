"""What clients build a form of an operation from, made of the model of its inputs.

A field's ``title`` and ``description`` are shown; its type, bounds, default, options and whether it must be
there are read from the model. ``json_schema_extra`` has what the model cannot say (``single_filter``,
``color_picker``…), or what is to be said otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from datalab.operations.operation import FileRef, Operation

_KINDS: Mapping[type, str] = {bool: "boolean", int: "int", float: "float", str: "string", FileRef: "fits"}


def description(operation: type[Operation[Any]]) -> dict[str, Any]:
    """Return an operation as clients' wizards know it."""
    return {
        "name": operation.name,
        "description": operation.description,
        "category": operation.category,
        "inputs": _inputs(operation.inputs),
    }


def _inputs(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: _input(name, field) for name, field in model.model_fields.items()}


def _input(name: str, field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}
    return {
        "name": field.title or name.replace("_", " ").capitalize(),
        "description": field.description or "",
        "type": _kind(field.annotation),
        "required": field.is_required(),
        **_bounds(field),
        **_default(field),
        **_options(field.annotation),
        **to_jsonable_python(dict(extra)),
    }


def _kind(annotation: Any) -> str:
    plain = _plain(annotation)
    if get_origin(plain) is Literal or (isinstance(plain, type) and issubclass(plain, Enum)):
        return "select"
    return _KINDS.get(plain, "string")


def _plain(annotation: Any) -> Any:
    """Return what a list is of, and an optional value without its None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    arguments = [one for one in get_args(annotation) if one not in (type(None), Ellipsis)]
    origin = get_origin(annotation)
    if origin in (Union, UnionType) and len(arguments) == 1:
        return _plain(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Collection) and arguments:
        return _plain(arguments[0])
    return annotation


def _bounds(field: FieldInfo) -> dict[str, Any]:
    bounds: dict[str, Any] = {"minimum": 1, "maximum": 1} if field.annotation is FileRef else {}
    is_text = _plain(field.annotation) is str
    for one in field.metadata:
        match one:
            case MinLen() | MaxLen() if is_text:  # of characters: not what forms mean by these words
                pass
            case MinLen(least) | Ge(least) | Gt(least):
                bounds["minimum"] = least
            case MaxLen(most) | Le(most) | Lt(most):
                bounds["maximum"] = most
            case _:
                pass
    return bounds


def _default(field: FieldInfo) -> dict[str, Any]:
    if field.is_required():
        return {}
    default = field.get_default(call_default_factory=True, validated_data={})
    return {} if default in (None, PydanticUndefined) else {"default": to_jsonable_python(default)}


def _options(annotation: Any) -> dict[str, Any]:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return {"options": list(get_args(plain))}
    if isinstance(plain, type) and issubclass(plain, Enum):
        return {"options": [member.value for member in plain]}
    return {}
