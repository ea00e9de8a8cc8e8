"""Files from the server: whole or not at all; what breaks off goes on where it was."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from datalab_client.answers import where
from datalab_client.bars import Bar, bar_of_bytes
from datalab_client.connection import REPEATED, Connection
from datalab_client.errors import DownloadError, NotThereError
from datalab_client.hashing import sha256_of
from datalab_client.pauses import Pauses, retry_after_s

PICTURE_AT_MOST_BYTES = 1 << 20
PICTURE_WITHIN_S = 5.0
DAMAGED_AT_MOST = 2
_SHA256 = re.compile(r'"([0-9a-f]{64})"')
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to come."""

    url: str
    path: Path
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def part(self) -> Path:
        """Return where it grows."""
        return self.path.with_name(f"{self.path.name}.part")


class _LaterError(Exception):
    """The server asks to come back."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{where(response.request)} answered {response.status_code}.")
        self.after_s = retry_after_s(response.headers)


def fetch(connection: Connection, wanted: Wanted, *, overwrite: bool = False) -> Path:
    """Bring a file; one that is there and the same stays.

    Raises:
        NotThereError: Its link does not count any longer.
        DownloadError: It did not arrive whole, or another file is in its place.
    """
    there = wanted.path.exists()
    if there and wanted.sha256 and sha256_of(wanted.path) == wanted.sha256:
        return wanted.path
    if there and wanted.sha256 and not overwrite:
        raise _in_its_place(wanted.path)
    _Fetching(connection, wanted).run()
    if there and not overwrite and not filecmp.cmp(wanted.part, wanted.path, shallow=False):
        wanted.part.unlink()
        raise _in_its_place(wanted.path)
    return wanted.part.replace(wanted.path)


def small_picture(connection: Connection, url: str) -> bytes | None:
    """Return a small JPEG, or None where it does not come in time."""
    content = bytearray()
    try:
        with connection.download(url, {}, PICTURE_WITHIN_S) as response:
            if not response.is_success:
                return None
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > PICTURE_AT_MOST_BYTES:
                    return None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return bytes(content) if content.startswith(_JPEG) else None


class _Fetching:
    """One file on its way."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self._connection, self._wanted = connection, wanted
        self._etag = ""
        self._total: int | None = wanted.size_bytes
        if wanted.sha256 is None:  # nobody could tell whether what is left is of the same file
            wanted.part.unlink(missing_ok=True)

    def run(self) -> None:
        """Bring it whole into its part."""
        is_shown = self._connection.manners.progress
        with bar_of_bytes(self._wanted.path.name, self._total, is_shown=is_shown) as bar:
            for _ in range(DAMAGED_AT_MOST):
                self._bring(bar)
                if self._is_whole():
                    return
                self._wanted.part.unlink()
        raise DownloadError(f"{self._wanted.path.name} arrived damaged, also when it was brought again.")

    def _bring(self, bar: Bar) -> None:
        pauses, most_bytes = Pauses(self._connection.manners.patience_s), self._have()
        while True:
            after_s = 0.0
            try:
                self._more(bar)
            except _LaterError as error:
                after_s, trouble = error.after_s, str(error)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            except (httpx.RequestError, httpx.InvalidURL) as error:
                raise DownloadError(f"{self._wanted.path.name} cannot be brought: {error}") from error
            else:
                return
            if self._have() > most_bytes:
                pauses, most_bytes = Pauses(self._connection.manners.patience_s), self._have()
            if not pauses.wait(after_s):
                raise DownloadError(
                    f"{self._wanted.path.name} broke off after {self._have()} bytes ({trouble});"
                    " the next download goes on from there if it can."
                )

    def _more(self, bar: Bar) -> None:
        have = self._have() if self._etag or self._wanted.sha256 else 0
        if have and have == self._total:
            return
        with self._connection.download(self._wanted.url, self._range(have)) as response:
            start = self._start(response, have)
            if etag := response.headers.get("etag", ""):
                self._etag = "" if etag.startswith("W/") else etag
            length = response.headers.get("content-length", "")
            self._total = self._wanted.size_bytes or (start + int(length) if length.isdecimal() else None)
            with self._wanted.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                bar.to(start)
                for chunk in response.iter_raw():
                    file.write(chunk)
                    bar.to(file.tell())
                    if self._total is not None and file.tell() > self._total:
                        return  # it is another file

    def _range(self, have: int) -> Mapping[str, str]:
        if not have:
            return {}
        return {"Range": f"bytes={have}-", **({"If-Range": self._etag} if self._etag else {})}

    def _start(self, response: httpx.Response, have: int) -> int:
        """Return where the answer's content begins."""
        status = response.status_code
        if status in REPEATED or status == HTTPStatus.INTERNAL_SERVER_ERROR:  # buckets say so now and then
            raise _LaterError(response)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            self._wanted.part.unlink()
            raise _LaterError(response)
        if status in (403, 404, 410):
            raise NotThereError(f"{where(response.request)}: the link does not count any longer.")
        if not response.is_success:
            raise DownloadError(f"{where(response.request)} answered {status}.")
        said = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
        return int(said[1]) if status == HTTPStatus.PARTIAL_CONTENT and said and int(said[1]) <= have else 0

    def _have(self) -> int:
        return self._wanted.part.stat().st_size if self._wanted.part.exists() else 0

    def _is_whole(self) -> bool:
        if self._wanted.size_bytes not in (None, self._have()):
            return False
        told = _SHA256.fullmatch(self._etag)
        sha256 = self._wanted.sha256 or (told[1] if told else None)
        return sha256 is None or sha256_of(self._wanted.part) == sha256


def _in_its_place(path: Path) -> DownloadError:
    return DownloadError(f"{path} is another file; `overwrite=True` replaces it.")
