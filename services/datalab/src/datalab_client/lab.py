"""A datalab as notebooks use it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from getpass import getpass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from datalab_client.connection import Connection, Manners, base_url
from datalab_client.descriptions import Catalogue, Description
from datalab_client.errors import InvalidError, NotThereError
from datalab_client.inputs import File, Inputs
from datalab_client.recipes import Recipe, Recipes, Run, Step, run_of
from datalab_client.sessions import PATH, Session, sessions_of
from datalab_client.uploads import Upload, Uploads

URL, TOKEN = "DATALAB_URL", "DATALAB_TOKEN"
"""Variables of the environment; the token is for that address alone."""


class Datalab:
    """Sessions, operations and files at one datalab.

    Args:
        url: Its address; the environment's ``DATALAB_URL`` when not given.
        token: Yours; the environment's ``DATALAB_TOKEN`` when not given. It is sent to this address and to no
            other.
        timeout_s: How long an answer may be silent.
        patience_s: For how long what failed is tried again, where that does no harm.
        progress: Whether bars are shown.

    Example:
        >>> lab = Datalab("http://127.0.0.1:8006", token="…")
        >>> session = lab.session("M51 tonight")
        >>> median = session.run("Median", input_files=["frame-1", "frame-2"]).wait()
        >>> median.download("results")
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
        progress: bool = True,
    ) -> None:
        address = url or os.environ.get(URL)
        if not address:
            raise InvalidError(f"Which datalab? Give its address, or set {URL}.")
        secret = token or _token_for(address)
        self._connection = Connection(address, secret, Manners(timeout_s, patience_s, progress))
        self._uploads = Uploads(self._connection)
        self._catalogue = Catalogue(self._connection)
        self._inputs = Inputs(self._uploads, self._catalogue)
        self._recipes = Recipes(self._connection, self._inputs)

    @classmethod
    def log_in(cls, url: str, username: str, password: str | None = None, **more: Any) -> Self:
        """Return a datalab by name and password, which is asked for when not given.

        Args:
            url: Its address.
            username: Yours.
            password: It is exchanged for a token and not kept.
            more: As of the class.

        Raises:
            InvalidError: They are not known there.
        """
        secret = getpass(f"Password of {username}: ") if password is None else password
        asking = Connection(url, None, Manners())
        try:
            given = asking.post("/api/api-token-auth/", {"username": username, "password": secret})
        finally:
            asking.close()
        return cls(url, token=given["token"], **more)

    @property
    def url(self) -> str:
        """Return its address."""
        return self._connection.url

    def available(self) -> dict[str, Description]:
        """Return what operations there are, by name, and what each wants to know."""
        return self._catalogue.all()

    def profile(self) -> dict[str, Any]:
        """Return who you are there, with your tokens as far as they can be told."""
        return dict(self._connection.get("/api/profile/"))

    def sessions(
        self,
        name: str | None = None,
        *,
        created_after: date | str | None = None,
        created_before: date | str | None = None,
        modified_after: date | str | None = None,
        modified_before: date | str | None = None,
    ) -> Iterator[Session]:
        """Yield your sessions, last modified first, page by page.

        Args:
            name: Any part of it, in letters of either case.
            created_after: A day or a moment; UTC unless it says otherwise.
            created_before: Likewise.
            modified_after: Likewise.
            modified_before: Likewise.
        """
        moments = {
            "created_after": created_after,
            "created_before": created_before,
            "modified_after": modified_after,
            "modified_before": modified_before,
        }
        query = {key: one.isoformat() if isinstance(one, date) else one for key, one in moments.items()}
        yield from sessions_of(self._connection, self._inputs, name=name, **query)

    def session(self, which: str | int) -> Session:
        """Return the session of a name, made if there is none; or that of an id.

        Raises:
            NotThereError: There is none of this id.
        """
        if not isinstance(which, str):
            return self._session(self._connection.get(f"{PATH}{int(which)}/"))
        if not (name := which.strip()):
            raise InvalidError("A session's name is not blank.")
        for found in sessions_of(self._connection, self._inputs, name_exact=name, at_once=1):
            return found
        return self._session(self._connection.post(PATH, {"name": name, "input_data": []}))

    def upload(self, path: str | Path, name: str | None = None) -> Upload:
        """Bring a FITS file or a TIFF, with a bar; operations take it as an input.

        Args:
            path: Of the file.
            name: What it is called there; that of the file when not given.

        Raises:
            InvalidError: It is no such file, too large, or another one has this name.
        """
        return self._uploads.add(Path(path).expanduser(), name)

    def uploads(self) -> Iterator[Upload]:
        """Yield the files that you brought, newest first."""
        yield from self._uploads.all()

    def analyze(self, action: str, file: File | None = None, **asked: Any) -> Any:
        """Ask something about one file.

        Args:
            action: ``line-profile``, ``source-catalog``, ``wcs``, ``raw-data``, ``get-tif``, ``get-jpg`` or
                ``centroiding``.
            file: As in ``session.add``; or its ``basename`` (and ``source``) among the rest.
            asked: What the action wants to know besides, such as ``x1`` and ``y1``.

        Raises:
            InvalidError: It makes no sense, or the file has no answer.
        """
        named = {} if file is None else self._inputs.one(file)
        body = {**named, **{name: value for name, value in asked.items() if value is not None}}
        return self._connection.post(f"/api/analysis/{_segment(action)}/", body, is_repeatable=True)

    def recipes(self, name: str | None = None) -> Iterator[Recipe]:
        """Yield your recipes, last changed first; ``name`` is any part of theirs."""
        yield from self._recipes.all(name=name)

    def recipe(self, which: str | int) -> Recipe:
        """Return the recipe of a name or an id.

        Raises:
            NotThereError: There is none.
        """
        if not isinstance(which, str):
            return self._recipes.get(int(which))
        if found := self._recipes.named(which):
            return found
        raise NotThereError(f"There is no recipe {which!r}; `lab.write_recipe` makes one.")

    def write_recipe(
        self, name: str, steps: Iterable[Step | Mapping[str, Any]], description: str = ""
    ) -> Recipe:
        """Write a recipe; one that has this name is written anew.

        Example:
            >>> lab.write_recipe("deep", [
            ...     Step("Align", input_files=From("inputs")),
            ...     Step("Median", input_files=From("Align")),
            ... ]).apply(session, ["frame-1", "frame-2"]).wait()
        """
        return self._recipes.write(name, steps, description)

    def run(self, number: int) -> Run:
        """Return a run of a recipe by its id, as it is now."""
        return run_of(self._connection, number)

    def close(self) -> None:
        """Close its connections; operations go on."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        return f"Datalab({self.url!r})"

    def _session(self, told: dict[str, Any]) -> Session:
        return Session(self._connection, self._inputs, told)


def _token_for(address: str) -> str:
    """Return the environment's token, if it is for this address."""
    secret, theirs = os.environ.get(TOKEN), os.environ.get(URL)
    if not secret:
        raise InvalidError(f"Give a token, or set {TOKEN}; Datalab.log_in(url, username) gets one.")
    if theirs and base_url(theirs) != base_url(address):
        raise InvalidError(f"{TOKEN} is for the datalab of {URL}, which is another one: give `token`.")
    return secret


def _segment(text: str) -> str:
    """Return a word as a part of a path.

    Raises:
        InvalidError: It would lead elsewhere.
    """
    if not text or not text.isascii() or not text.replace("-", "").isalnum():
        raise InvalidError(f"There is no action {text!r}.")
    return text
