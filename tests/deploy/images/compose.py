"""compose.yaml, as a container engine would understand it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.deploy.images.dockerfile import ROOT

TEXT = (ROOT / "compose.yaml").read_text()
SECRETS = {
    "FLIGHTLINE_TOKEN": "token-of-the-test",
    "FLIGHTLINE_INTERNAL_TOKEN": "internal-token-of-the-test",
    "RABBITMQ_PASSWORD": "rabbit",
    "MONGODB_PASSWORD": "mongo",
    "S3_SECRET_KEY": "secret-key-of-the-test",
}
_REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<how>:[-?])(?P<word>[^}]*)\}")


class UnsetError(Exception):
    """A variable that has to be set is not."""


def compose(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Return what it says where these variables are set.

    Raises:
        UnsetError: One that it asks for is missing.
    """

    def value(reference: re.Match[str]) -> str:
        name, how, word = reference.group("name", "how", "word")
        if variables.get(name):
            return variables[name]
        if how == ":?":
            raise UnsetError(name)
        return word

    def filled(part: Any) -> Any:
        match part:
            case dict():
                return {key: filled(inner) for key, inner in part.items()}
            case list():
                return [filled(inner) for inner in part]
            case str():
                return _REFERENCE.sub(value, part)
            case _:
                return part

    found: dict[str, Any] = filled(yaml.safe_load(TEXT))
    return found


def services(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Return the containers, by name."""
    found: dict[str, Any] = compose(variables)["services"]
    return found


def required() -> set[str]:
    """Return the variables without which nothing starts."""
    return {found["name"] for found in _REFERENCE.finditer(TEXT) if found["how"] == ":?"}


def optional() -> dict[str, str]:
    """Return the other variables, with what they are unless they are set."""
    return {found["name"]: found["word"] for found in _REFERENCE.finditer(TEXT) if found["how"] == ":-"}
