"""The settings of all services: whether each can be read, and variables that look like misspelt ones."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping

from pydantic_settings import BaseSettings

from flightline.fitness.finding import Check
from flightline.overview.services import SETTINGS, settings_of
from shared.errors import InvalidInputError
from shared.setting_faults import misspelt, variable
from shared.settings import PlatformSettings, load

NEAR = 0.88
"""How alike a variable of another prefix has to be to be taken for a slip of the finger."""


async def settings_fit(_settings: PlatformSettings) -> str:
    """Read the settings of every service, and look for variables that nobody reads."""
    kinds: list[type[BaseSettings]] = [PlatformSettings, *map(settings_of, SETTINGS)]
    faults = [*_unread(kinds, os.environ), *_unusable(kinds)]
    if faults:
        raise InvalidInputError("; ".join(faults))
    known = known_variables(kinds)
    return f"{sum(name in known for name in os.environ)} set, of {len(known)} that there are"


def known_variables(kinds: Iterable[type[BaseSettings]]) -> set[str]:
    """Return every variable that somebody reads."""
    return {variable(kind, field) for kind in kinds for field in kind.model_fields}


def _unread(kinds: Iterable[type[BaseSettings]], environment: Mapping[str, str]) -> list[str]:
    kinds = tuple(kinds)
    wrong = dict(pair for kind in kinds for pair in misspelt(kind, environment))
    known = known_variables(kinds)
    prefixes = tuple({variable(kind, "") for kind in kinds})
    for name in environment:
        if not name.startswith(prefixes):
            near = difflib.get_close_matches(name, known, 1, NEAR)
            wrong |= {name: near[0]} if near else {}
    return [
        f"{name} is no setting{f', did you mean {meant}?' if meant else ''}"
        for name, meant in sorted(wrong.items())
    ]


def _unusable(kinds: Iterable[type[BaseSettings]]) -> list[str]:
    faults = []
    for kind in kinds:
        try:
            load(kind)
        except InvalidInputError as error:
            faults += str(error).splitlines()
    return faults


CHECKS = (
    Check("settings", settings_fit, "mend these variables; docs/settings.md has all, with their values"),
)
