"""One secret of constants: its keys and values, and how a service reads them into a model."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode

from shared.errors import InvalidInputError

M = TypeVar("M", bound=BaseModel)

_OWN_KEY = secrets.token_bytes(16)
"""Versions of what has none are keyed: a plain hash of a short secret would give it away."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A secret: what it maps, which version that is, and where it was read, for people."""

    values: Mapping[str, object] = field(repr=False)
    version: str
    where: str


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith(("[", "{", '"')):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        parsed = json.loads(text)
    except ValueError:
        raise ValueError('expected a JSON list such as ["Unknown", "IMG_"]') from None
    return (parsed,) if isinstance(parsed, str) else parsed


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Names as a list, as the JSON text of one, or with commas between them."""


def values_version(values: Mapping[str, object]) -> str:
    """Return what changes when values do, for a source that counts no versions; good in this process only."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), key=_OWN_KEY, digest_size=6).hexdigest()


def parse_constant(
    model: type[M],
    name: str,
    constant: Constant | None,
    own: Mapping[str, object] = MappingProxyType({}),
    *,
    prefix: str,
) -> M | None:
    """Return a constant as ``model``; None if neither it nor any setting says anything.

    The model's fields (or their aliases) are the keys of the secret; other keys are ignored.

    Args:
        model: What is wanted.
        name: Name of the secret, such as ``scaler_constants``.
        constant: What was read of it.
        own: What settings say, by key; it wins where it is not None.
        prefix: What, before a key in capitals, makes the environment variable that can say it instead.

    Raises:
        InvalidInputError: A key is missing or cannot be used; the message has a line for each, and no value.
    """
    given = {key: value for key, value in own.items() if value is not None}
    if constant is None and not given:
        return None
    try:
        return model.model_validate({**(constant.values if constant else {}), **given})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
    where = f"{name} ({constant.where})" if constant else name
    raise InvalidInputError("\n".join(_fault(detail, where, prefix, given) for detail in details))


def _fault(detail: ErrorDetails, where: str, prefix: str, given: Mapping[str, object]) -> str:
    key = str(detail["loc"][0]) if detail["loc"] else ""
    variable = f"{prefix}{key}".upper()
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if not key:
        return f"{where}: {message}"
    if detail["type"] == "missing":
        return f"{where} has no key {key}: add it there, or set {variable}"
    if key in given:
        return f"{variable}: {message}"
    return f"{where}, key {key}: {message}; {variable} can say it instead"
