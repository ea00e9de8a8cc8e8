"""Read settings from the environment, and say everything that is wrong with them at once."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsError

from shared.errors import InvalidInputError
from shared.redaction import is_secret_name, redact_text

S = TypeVar("S", bound=BaseSettings)

log = logging.getLogger(__name__)

_KUBERNETES_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_\d+_(TCP|UDP).*)?$")
"""Variables that Kubernetes puts into every pod for each service of the namespace."""


def load(settings: type[S], **given: Any) -> S:
    """Return ``settings`` as the environment has them; warn of variables that look like misspelt ones.

    What is ``given``, by field, wins over the environment.

    Raises:
        InvalidInputError: Some cannot be used; the message has a line for each, and no secret.
    """
    for name, meant in misspelt(settings, os.environ):
        log.warning("%s is no setting%s", name, f"; did you mean {meant}?" if meant else "")
    try:
        return settings(**given)
    except ValidationError as error:
        raise InvalidInputError(told_faults(settings, error)) from None
    except SettingsError as error:
        raise InvalidInputError(f"{error}: expected JSON") from None


def told_faults(settings: type[BaseSettings], error: ValidationError) -> str:
    """Return a line for each thing that is wrong with ``settings``, and no secret."""
    faults = [_fault(settings, detail) for detail in error.errors(include_url=False)]
    return "\n".join(fault for fault in faults if fault)


def variable(settings: type[BaseSettings], field: str) -> str:
    """Return the environment variable of a field."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def misspelt(settings: type[BaseSettings], names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Return variables that have the prefix of ``settings`` and no field, with what may be meant."""
    known = [variable(settings, field) for field in settings.model_fields]
    prefix = variable(settings, "")
    delimiter = settings.model_config.get("env_nested_delimiter")
    nested = tuple(f"{name}{delimiter}" for name in known) if delimiter else ()
    unknown = [
        name
        for name in sorted(names)
        if prefix
        and name.upper().startswith(prefix)
        and name.upper() not in known
        and not name.upper().startswith(nested or ("\0",))
        and not _KUBERNETES_SERVICE_LINK.search(name)
    ]
    return [(name, next(iter(difflib.get_close_matches(name.upper(), known, 1)), None)) for name in unknown]


def _fault(settings: type[BaseSettings], detail: ErrorDetails) -> str | None:
    if detail["type"] == "default_factory_not_called":
        return None  # follows from another fault, which has a line of its own
    if not detail["loc"]:
        return _message(detail)
    field = str(detail["loc"][0])
    name = variable(settings, field)
    if detail["type"] == "missing":
        description = settings.model_fields[field].description or "no default"
        return f"{name} is not set: {description}"
    if detail["type"] == "extra_forbidden":
        return f"{field} is no setting of {settings.__name__}"
    return f"{name}={_shown(settings, field, detail['input'])}: {_message(detail)}"


def _shown(settings: type[BaseSettings], field: str, value: Any) -> str:
    if is_secret_name(field) or "SecretStr" in str(settings.model_fields[field].annotation):
        return "(hidden)"
    text = redact_text(str(value))
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - a line or two on a terminal


def _message(detail: ErrorDetails) -> str:
    message = detail["msg"]
    if "Input should be" in message:
        return message.replace("Input should be", "expected")
    return message.removeprefix("Value error, ")
