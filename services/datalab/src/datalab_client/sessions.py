"""A session: a name, files, and the operations on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from typing_extensions import override

from datalab_client.connection import Connection
from datalab_client.inputs import Channel, File, Inputs
from datalab_client.operations import Operation
from datalab_client.pages import each
from datalab_client.showing import session_html

PATH = "/api/datasessions/"


class Session:
    """A session of yours.

    Attributes:
        id: Names it for the server.

    Example:
        >>> session = lab.session("M51 tonight")
        >>> session.add("~/night/*.fits")
        >>> session.run("Median", input_files=session.input_data).wait()
    """

    def __init__(self, connection: Connection, inputs: Inputs, told: Mapping[str, Any]) -> None:
        self._connection = connection
        self._inputs = inputs
        self._told = told
        self.id = int(told["id"])

    @property
    def name(self) -> str:
        """Return what it is called."""
        return str(self._told["name"])

    @property
    def input_data(self) -> list[Any]:
        """Return its files, as operations take them."""
        return list(self._told["input_data"])

    @property
    def operations(self) -> list[Operation]:
        """Return its operations, oldest first, as they were when it was last looked at."""
        return [Operation(self._connection, self.id, one) for one in self._told["operations"]]

    @property
    def created(self) -> datetime:
        """Return when it was made."""
        return datetime.fromisoformat(self._told["created"])

    @property
    def modified(self) -> datetime:
        """Return when something was added last."""
        return datetime.fromisoformat(self._told["modified"])

    def operation(self, number: int) -> Operation:
        """Return one of its operations, as it is now."""
        return Operation(self._connection, self.id, self._connection.get(f"{self._path}operations/{number}/"))

    def add(self, *files: File | Iterable[File | Channel]) -> Session:
        """Add files to those that it has; none is there twice.

        Args:
            files: Frames of the archive by their basenames; paths and patterns of files here, which are
                uploaded; uploads, and operations, of which the results are added.

        Raises:
            InvalidError: One of them is no file, or is not there.
        """
        found = [named for one in files for named in self._inputs.files(one)]
        self._told = self._connection.call("PATCH", self._path, {"input_data": found}, is_repeatable=True)
        return self

    def run(self, name: str, /, **inputs: Any) -> Operation:
        """Ask for an operation; it is computed at the server, and ``wait`` waits for it.

        Args:
            name: As ``lab.available()`` has it, such as ``Median``.
            inputs: As ``lab.available()[name]`` has them. Files are given as in ``add``; operations that
                have not ended yet are waited for.

        Raises:
            InvalidError: There is no such operation, or it cannot be done with these inputs.
        """
        body = {"name": name, "input_data": self._inputs.of(name, inputs)}
        return Operation(self._connection, self.id, self._connection.post(f"{self._path}operations/", body))

    def refresh(self) -> Session:
        """Look what is in it."""
        self._told = self._connection.get(self._path)
        return self

    def rename(self, name: str) -> Session:
        """Call it something else."""
        self._told = self._connection.call("PATCH", self._path, {"name": name}, is_repeatable=True)
        return self

    def delete(self) -> None:
        """Delete it, its operations, and their results."""
        self._connection.call("DELETE", self._path)

    @override
    def __repr__(self) -> str:
        return f"<session {self.id} {self.name!r}, {len(self._told['operations'])} operations>"

    def _repr_html_(self) -> str:
        return session_html(self)

    @property
    def _path(self) -> str:
        return f"{PATH}{self.id}/"


def sessions_of(connection: Connection, inputs: Inputs, **query: Any) -> Iterable[Session]:
    """Yield sessions, last modified first."""
    return (Session(connection, inputs, one) for one in each(connection, PATH, **query))
