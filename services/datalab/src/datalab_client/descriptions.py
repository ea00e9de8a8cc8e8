"""Operations that there are, as the server describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from typing import Any

from typing_extensions import override

from datalab_client.connection import Connection
from datalab_client.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Description:
    """One operation, and what it wants to know.

    Attributes:
        name: As ``session.run`` takes it.
        description: What it does.
        category: ``image`` or ``data``.
        inputs: By name, each with ``name``, ``description``, ``type``, ``required``, and often ``minimum``,
            ``maximum``, ``default`` or ``options``.
    """

    name: str
    description: str
    category: str
    inputs: Mapping[str, Mapping[str, Any]]

    @property
    def files(self) -> frozenset[str]:
        """Return the names of the inputs that are files."""
        return frozenset(name for name, one in self.inputs.items() if one.get("type") == "fits")

    def check(self, names: Iterable[str]) -> None:
        """Make sure that there are inputs of these names: the server passes over what it does not know.

        Raises:
            InvalidError: There is none of some name.
        """
        for name in names:
            if name not in self.inputs:
                raise InvalidError(
                    f"{self.name} has no input {name!r}{_meant(name, self.inputs)};"
                    f" it has {', '.join(self.inputs)}."
                )

    @override
    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.inputs)}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(one))}</td>"
            f"<td>{escape(str(one.get('description', '')))}</td></tr>"
            for name, one in self.inputs.items()
        )
        return f"<b>{escape(self.name)}</b><p>{escape(self.description)}</p><table>{rows}</table>"


class Catalogue:
    """Asks once which operations there are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Description] = {}

    def all(self) -> dict[str, Description]:
        """Return all operations by name, as they are now."""
        found: dict[str, Any] = self._connection.get("/api/available_operations/")
        self._known = {
            name: Description(
                name, str(one.get("description", "")), str(one.get("category", "")), one.get("inputs", {})
            )
            for name, one in found.items()
        }
        return dict(self._known)

    def __getitem__(self, name: str) -> Description:
        """Return an operation.

        Raises:
            InvalidError: There is none of this name.
        """
        known = self._known if name in self._known else self.all()
        if name not in known:
            raise InvalidError(
                f"There is no operation {name!r}{_meant(name, known)}; there are {', '.join(known)}."
            )
        return known[name]


def _kind(one: Mapping[str, Any]) -> str:
    parts = [str(one.get("type", "")), *(["required"] if one.get("required") else [])]
    if options := one.get("options"):
        parts.append(" | ".join(map(str, options)))
    parts += [f"{word} {one[word]}" for word in ("minimum", "maximum", "default") if word in one]
    return ", ".join(parts)


def _meant(name: str, known: Iterable[str]) -> str:
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
