"""An operation of a session: how far it is, and what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from datalab_client.connection import Connection
from datalab_client.downloads import Wanted, fetch, small_picture
from datalab_client.errors import NotThereError, OperationFailedError
from datalab_client.results import Result, file_name, results
from datalab_client.showing import operation_html
from datalab_client.waiting import wait_for

ENDED = frozenset({"COMPLETED", "FAILED"})


class Operation:
    """An operation of a session.

    Attributes:
        id: Names it for the server.
        session_id: Of its session.

    Example:
        >>> median = session.run("Median", input_files=["frame-1", "frame-2"])
        >>> median.wait().download("results")
        [PosixPath('results/median-12.fits')]
    """

    def __init__(self, connection: Connection, session_id: int, told: Mapping[str, Any]) -> None:
        self._connection = connection
        self._told = told
        self._picture: bytes | None = None
        self._data: list[dict[str, Any]] | None = None
        self.session_id = session_id
        self.id = int(told["id"])

    @property
    def name(self) -> str:
        """Return which operation it is, such as ``Median``."""
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
        return float(self._told["operation_progress"])

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self.status in ENDED

    @property
    def input_data(self) -> dict[str, Any]:
        """Return what it works on, as it was sent."""
        return dict(self._told["input_data"])

    @property
    def created(self) -> datetime:
        """Return when it was asked for."""
        return datetime.fromisoformat(self._told["created"])

    @property
    def output(self) -> dict[str, Any]:
        """Return all that came out, as the server tells it; empty before there is something."""
        return dict(self._told["output"] or {})

    @property
    def data(self) -> list[dict[str, Any]]:
        """Return the rows that came out, such as a light curve's; very many of them are brought first."""
        if "data_url" in self.output and "output_data" not in self.output:
            self._data = self._data if self._data is not None else self._brought_data()
            return list(self._data)
        return list(self.output.get("output_data") or [])

    @property
    def files(self) -> list[Result]:
        """Return the files that came out."""
        return results(self.output)

    @property
    def images(self) -> list[Result]:
        """Return those of the files that operations can work on."""
        return [one for one in self.files if one.is_image]

    def refresh(self) -> Operation:
        """Look how far it is."""
        return self._now(self._connection.get(self._path))

    def wait(self, timeout_s: float | None = None) -> Operation:
        """Wait until it has ended, with a bar.

        Args:
            timeout_s: For how long at most; None: for ever.

        Raises:
            OperationFailedError: It failed, or was cancelled.
            StillRunningError: It goes on beyond ``timeout_s``.
        """
        wait_for(
            self,
            self._look,
            title=f"{self.name} {self.id}",
            again=f"lab.session({self.session_id}).operation({self.id}).wait()",
            timeout_s=timeout_s,
            is_shown=self._connection.manners.progress,
        )
        return self.ended()

    def ended(self) -> Operation:
        """Return it when it has ended well; wait for that where it is necessary.

        Raises:
            OperationFailedError: It failed, or was cancelled.
        """
        if not self.has_ended:
            return self.wait()
        if self.status == "FAILED":
            raise OperationFailedError(
                f"{self.name} {self.id} failed: {self.message or 'no reason was given'}"
            )
        return self

    def download(
        self, folder: str | Path = ".", *, kinds: Collection[str] | None = None, overwrite: bool = False
    ) -> list[Path]:
        """Bring what came out into a folder, with bars; what is there already is not brought again.

        Args:
            folder: Is made if it is not there.
            kinds: Of ``fits``, ``tif``, ``large``, ``small`` and ``diagnostic``; None: the images, or the
                pictures where there are no images.
            overwrite: Whether other files of the same names are replaced.

        Returns:
            The files, such as ``median-12.fits``.

        Raises:
            OperationFailedError: It failed.
            NotThereError: There is nothing to bring.
            DownloadError: A file did not arrive whole, or another one is in its place.
        """
        place = Path(folder).expanduser()
        place.mkdir(parents=True, exist_ok=True)
        found = self.ended().files
        wanted = [(number, kind) for number, one in enumerate(found) for kind in one.kinds(kinds)]
        if not wanted:
            raise NotThereError(f"{self.name} {self.id} has no files of this kind; look at its `data`.")
        return [
            self._brought(
                number,
                kind,
                place / file_name(f"{self.name}-{self.id}", number, len(found), kind),
                overwrite=overwrite,
            )
            for number, kind in wanted
        ]

    def cancel(self) -> Operation:
        """Stop it; one that has ended stays as it is."""
        return self._now(self._connection.post(f"{self._path}cancel/", is_repeatable=True))

    def retry(self) -> Operation:
        """Have it computed again if it failed or was cancelled."""
        return self._now(self._connection.post(f"{self._path}retry/", is_repeatable=True))

    def delete(self) -> None:
        """Delete it; what is being computed for it alone is stopped."""
        self._connection.call("DELETE", self._path)

    def picture(self) -> bytes | None:
        """Return a small JPEG of what came out, or None where there is none, or it does not come in time."""
        url = next((one.urls["small"] for one in self.files if "small" in one.urls), None)
        if url is None:
            return None
        if self._picture is None:
            self._picture = small_picture(self._connection, url)
        return self._picture

    @override
    def __repr__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"<{self.name} {self.id}, {self.status} {self.progress:.0%}{said}>"

    def _repr_html_(self) -> str:
        return operation_html(self)

    @property
    def _path(self) -> str:
        return f"/api/datasessions/{self.session_id}/operations/{self.id}/"

    def _now(self, told: Mapping[str, Any]) -> Operation:
        if told["output"] != self._told["output"]:
            self._picture = self._data = None
        self._told = told
        return self

    def _look(self, within_s: float) -> None:
        began_s = time.monotonic()
        self._now(self._connection.get(f"{self._path}wait/", more_s=within_s, timeout=within_s))
        early_s = within_s - (time.monotonic() - began_s)
        if early_s > 0 and not self.has_ended:  # the server lets only so many wait
            time.sleep(early_s)

    def _brought(self, number: int, kind: str, path: Path, *, overwrite: bool) -> Path:
        return self._fetched(lambda: self.files[number].wanted(kind, path), overwrite=overwrite)

    def _brought_data(self) -> list[dict[str, Any]]:
        with TemporaryDirectory(prefix="datalab-") as folder:
            path = Path(folder, f"data of {self.name} {self.id}")
            self._fetched(lambda: Wanted(self.output["data_url"], path, self.output.get("data_bytes")))
            found: list[dict[str, Any]] = json.loads(path.read_bytes())
            return found

    def _fetched(self, wanted: Callable[[], Wanted], *, overwrite: bool = False) -> Path:
        try:
            return fetch(self._connection, wanted(), overwrite=overwrite)
        except NotThereError:  # links count for some days
            self.refresh().ended()
            return fetch(self._connection, wanted(), overwrite=overwrite)
