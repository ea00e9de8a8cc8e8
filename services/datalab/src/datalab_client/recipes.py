"""Recipes: operations one behind the other, applied to files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from datalab_client.connection import Connection
from datalab_client.errors import InvalidError, OperationFailedError
from datalab_client.inputs import Channel, File, Inputs
from datalab_client.operations import ENDED, Operation
from datalab_client.pages import each
from datalab_client.sessions import Session
from datalab_client.showing import table_html
from datalab_client.waiting import wait_for

PATH = "/api/recipes/"
RUNS = "/api/recipes/runs/"


class Step:
    """One operation of a recipe.

    Args:
        operation: As ``lab.available()`` has it, such as ``Median``.
        name: What later steps call it; the operation's when not given.
        inputs: As of ``session.run``; ``From("inputs")`` and ``From`` an earlier step stand for files.

    Example:
        >>> Step("Align", input_files=From("inputs"), name="aligned")
        >>> Step("Median", input_files=From("aligned"))
    """

    def __init__(self, operation: str, /, *, name: str | None = None, **inputs: Any) -> None:
        self.operation = operation
        self.name = name or operation
        self.inputs = inputs

    def as_json(self, inputs: Inputs) -> dict[str, Any]:
        """Return it as the server takes it; files here are brought on the way."""
        data = inputs.of(self.operation, self.inputs)
        return {"name": self.name, "operation": self.operation, "input_data": data}

    @override
    def __repr__(self) -> str:
        return f"<step {self.name!r}: {self.operation}>"


class Recipe:
    """A recipe of yours.

    Attributes:
        id: Names it for the server.
        name: What it is called.
        description: What is said of it.
        steps: Its operations, as the server has them.
    """

    def __init__(self, connection: Connection, inputs: Inputs, told: Mapping[str, Any]) -> None:
        self._connection = connection
        self._inputs = inputs
        self.id = int(told["id"])
        self.name = str(told["name"])
        self.description = str(told["description"])
        self.steps: list[dict[str, Any]] = list(told["steps"])

    def apply(
        self,
        session: Session,
        files: File | Iterable[File | Channel] | None = None,
        *,
        sets: Sequence[File | Iterable[File | Channel]] | None = None,
    ) -> Run:
        """Apply it to files: its operations are made in the session.

        Args:
            session: One of yours.
            files: As of ``session.add``.
            sets: Instead of ``files``: several lists of them, to each of which it is applied by itself.
        """
        if (files is None) == (sets is None):
            raise InvalidError("Give either files, or sets of them.")
        given = {} if files is None else {"inputs": self._inputs.files(files)}
        several = {} if sets is None else {"sets": [self._inputs.files(one) for one in sets]}
        body = {"session": session.id, **given, **several}
        return Run(self._connection, self._connection.post(f"{PATH}{self.id}/apply/", body))

    def runs(self) -> Iterator[Run]:
        """Yield its runs, newest first."""
        return runs_of(self._connection, recipe=self.id)

    def delete(self) -> None:
        """Delete it; its runs stay, and go on."""
        self._connection.call("DELETE", f"{PATH}{self.id}/")

    @override
    def __repr__(self) -> str:
        return f"<recipe {self.id} {self.name!r}: {', '.join(one['operation'] for one in self.steps)}>"


class Run:
    """A recipe as it was applied.

    Attributes:
        id: Names it for the server.
        session_id: Of the session in which its operations are.
    """

    def __init__(self, connection: Connection, told: Mapping[str, Any]) -> None:
        self._connection = connection
        self._told = told
        self.id = int(told["id"])
        self.session_id = int(told["session"])

    @property
    def name(self) -> str:
        """Return the recipe's name."""
        return str(self._told["name"])

    @property
    def status(self) -> str:
        """Return ``PENDING``, ``IN_PROGRESS``, ``COMPLETED`` or ``FAILED``, as it was when last looked at."""
        return str(self._told["status"])

    @property
    def message(self) -> str:
        """Return what the server says of it."""
        return str(self._told["message"] or "")

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""
        return float(self._told["progress"])

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self.status in ENDED

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Return its steps, set by set: each with ``name``, ``status``, ``message`` and ``operation``."""
        if "steps" not in self._told:  # it is from a list
            self.refresh()
        return list(self._told["steps"])

    @property
    def operations(self) -> list[Operation]:
        """Return the operations that were made of its steps, as they are now."""
        path = f"/api/datasessions/{self.session_id}/operations/"
        numbers = [one["operation"] for one in self.steps if one["operation"]]
        return [
            Operation(self._connection, self.session_id, self._connection.get(f"{path}{number}/"))
            for number in numbers
        ]

    def refresh(self) -> Run:
        """Look how far it is."""
        return self._now(self._connection.get(self._path))

    def wait(self, timeout_s: float | None = None) -> Run:
        """Wait until it has ended, with a bar.

        Args:
            timeout_s: For how long at most; None: for ever.

        Raises:
            OperationFailedError: One of its operations failed; the message says which.
            StillRunningError: It goes on beyond ``timeout_s``.
        """
        wait_for(
            self,
            self._look,
            title=f"{self.name}, run {self.id}",
            again=f"lab.run({self.id}).wait()",
            timeout_s=timeout_s,
            is_shown=self._connection.manners.progress,
        )
        if self.status == "FAILED":
            raise OperationFailedError(f"{self.name}, run {self.id}, failed: {self.message}")
        return self

    def cancel(self) -> Run:
        """Stop it and its operations; what has ended stays as it is."""
        return self._now(self._connection.post(f"{self._path}cancel/", is_repeatable=True))

    def retry(self) -> Run:
        """Go on from what failed or was cancelled."""
        return self._now(self._connection.post(f"{self._path}retry/", is_repeatable=True))

    def delete(self) -> None:
        """Stop it and delete it; its operations stay in the session."""
        self._connection.call("DELETE", self._path)

    @override
    def __repr__(self) -> str:
        return f"<run {self.id} of {self.name!r}, {self.status} {self.progress:.0%}>"

    def _repr_html_(self) -> str:
        keys = ("set", "step", "name", "operation", "status", "progress", "message")
        rows = ([f"{one[key]:.0%}" if key == "progress" else one[key] for key in keys] for one in self.steps)
        return table_html(keys, rows)

    @property
    def _path(self) -> str:
        return f"{RUNS}{self.id}/"

    def _now(self, told: Mapping[str, Any]) -> Run:
        self._told = told
        return self

    def _look(self, within_s: float) -> None:
        time.sleep(within_s)
        self.refresh()


class Recipes:
    """Finds and writes recipes."""

    def __init__(self, connection: Connection, inputs: Inputs) -> None:
        self._connection = connection
        self._inputs = inputs

    def all(self, **query: Any) -> Iterator[Recipe]:
        """Yield recipes, last changed first."""
        return (Recipe(self._connection, self._inputs, one) for one in each(self._connection, PATH, **query))

    def get(self, number: int) -> Recipe:
        """Return the recipe of an id."""
        return Recipe(self._connection, self._inputs, self._connection.get(f"{PATH}{number}/"))

    def named(self, name: str) -> Recipe | None:
        """Return the recipe of a name, if there is one."""
        return next(self.all(name_exact=name.strip(), at_once=1), None) if name.strip() else None

    def write(self, name: str, steps: Iterable[Step | Mapping[str, Any]], description: str) -> Recipe:
        """Write a recipe, or write it anew where there is one of this name."""
        told = [one.as_json(self._inputs) if isinstance(one, Step) else dict(one) for one in steps]
        body = {"name": name.strip(), "description": description, "steps": told}
        known = self.named(name)
        if known is None:
            return Recipe(self._connection, self._inputs, self._connection.post(PATH, body))
        changed = self._connection.call("PUT", f"{PATH}{known.id}/", body, is_repeatable=True)
        return Recipe(self._connection, self._inputs, changed)


def runs_of(connection: Connection, **query: Any) -> Iterator[Run]:
    """Yield runs, newest first."""
    return (Run(connection, one) for one in each(connection, RUNS, **query))


def run_of(connection: Connection, number: int) -> Run:
    """Return a run, as it is now."""
    return Run(connection, connection.get(f"{RUNS}{number}/"))
