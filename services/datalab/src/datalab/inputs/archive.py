"""Frames of the science archive: found with the user's own token, read by the links that it gives."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from yarl import URL

from datalab.domain.computations import InputFile
from datalab.domain.users import Caller
from datalab.inputs.http_file import LinkLapsedError, answers_told, check_passing, download
from datalab.operations.operation import FileRef, OperationError
from shared.errors import TransientError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

KNOWN_FOR_S = 60.0
"""How long somebody's access to a frame is taken for granted; pages ask for the same one again and again."""
KNOWN_AT_MOST = 4_096
ANSWER_BYTES_AT_MOST = 8 << 20
TRIES = 2


class _Version(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str = ""
    key: str = ""
    md5: str = ""


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    basename: str
    url: str
    filename: str = ""
    version_set: tuple[_Version, ...] = ()

    @property
    def content(self) -> str:
        """Return what changes with the bytes: frames are reduced again, and keep their id."""
        newest = self.version_set[0] if self.version_set else _Version()
        return f"archive:{self.id}:{newest.md5 or newest.key or newest.id or self.filename}"


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    results: tuple[_Frame, ...]


@dataclass(slots=True)
class Archive:
    """A client of one archive."""

    url: URL
    trusted: ClientSession
    """For the archive, which an operator named."""
    guarded: ClientSession
    """For where its links lead."""
    token: SecretStr | None
    """Ours, for links that lapsed."""
    file_bytes_at_most: int
    _known: OrderedDict[tuple[str, str], tuple[float, InputFile]] = field(default_factory=OrderedDict)

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return the frame of this basename, if the archive shows it to the caller.

        Raises:
            OperationError: It does not.
        """
        token = caller.archive_token
        name = (_hashed(token), ref.basename)
        known = self._known.get(name)
        if known and time.monotonic() - known[0] < KNOWN_FOR_S:
            return known[1]
        file = _file(ref, await self._asked(ref.basename, token))
        self._known[name] = (time.monotonic(), file)
        self._known.move_to_end(name)
        if len(self._known) > KNOWN_AT_MOST:
            self._known.popitem(last=False)
        return file

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Download a frame; where its link has lapsed, a new one is asked for.

        Raises:
            OperationError: We are given none, or the frame has changed.
        """
        try:
            await self._download(file, to)
        except LinkLapsedError:
            await self._download_by_new_link(file, to)

    def local_path(self, file: InputFile) -> Path | None:
        """Return None: frames are elsewhere."""
        del file
        return None

    async def _download(self, file: InputFile, to: Path) -> None:
        is_ours = URL(file.url).origin() == self.url.origin()
        await download(
            self.trusted if is_ours else self.guarded,
            file.url,
            to,
            what=f"the archive's file of {file.basename}",
            at_most_bytes=self.file_bytes_at_most,
            md5=file.md5,
        )

    async def _download_by_new_link(self, file: InputFile, to: Path) -> None:
        ref = FileRef(basename=file.basename, source="archive")
        lapsed = OperationError(f"The archive's link to {file.basename} has lapsed; retry the operation.")
        try:
            fresh = _file(ref, await self._asked(file.basename, self.token))
        except OperationError:
            raise lapsed from None
        if fresh.content != file.content:
            raise OperationError(f"{file.basename} was reduced again meanwhile; retry the operation.")
        try:
            await self._download(fresh, to)
        except LinkLapsedError:
            raise lapsed from None

    async def _asked(self, basename: str, token: SecretStr | None) -> _Page:
        """Ask once more where there is no answer; more patience is the workers' business."""
        for _ in range(TRIES - 1):
            try:
                return await self._ask(basename, token)
            except TransientError as error:
                if error.retry_after is not None:
                    raise
        return await self._ask(basename, token)

    async def _ask(self, basename: str, token: SecretStr | None) -> _Page:
        url = self.url / "frames/"
        headers = {"Accept": "application/json", **_authorization(token)}
        with answers_told("The archive"):
            async with self.trusted.get(
                url, params={"basename_exact": basename, "limit": "5"}, headers=headers
            ) as answer:
                check_passing(answer, "The archive")
                if answer.status in (401, 403):
                    raise OperationError("The archive does not take your token; log in again.")
                if answer.status != HTTPStatus.OK:
                    raise OperationError(f"The archive does not know {basename} ({answer.status}).")
                return await _page(answer)


async def _page(answer: ClientResponse) -> _Page:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > ANSWER_BYTES_AT_MOST:
            raise TransientError("The archive answers more than was asked for")
    try:
        return _Page.model_validate_json(bytes(content))
    except ValidationError:
        raise TransientError("The archive answers something else than a list of frames") from None


def _file(ref: FileRef, page: _Page) -> InputFile:
    frames = [frame for frame in page.results if frame.basename == ref.basename]
    if not frames:
        raise OperationError(f"The archive has no frame {ref.basename}, or you may not see it.")
    frame = next((frame for frame in frames if str(frame.id) == str(ref.id)), frames[0])
    try:
        link = URL(frame.url)
    except ValueError:
        link = URL()
    if link.scheme not in ("http", "https") or not link.host:
        raise OperationError(f"The archive gives no link to {ref.basename}.")
    return InputFile(
        source="archive",
        basename=ref.basename,
        content=frame.content,
        place=str(frame.id),
        url=frame.url,
        md5=frame.version_set[0].md5 or None if frame.version_set else None,
    )


def _authorization(token: SecretStr | None) -> Mapping[str, Any]:
    return {"Authorization": f"Token {token.get_secret_value()}"} if token else {}


def _hashed(token: SecretStr | None) -> str:
    return hashlib.sha256(token.get_secret_value().encode()).hexdigest() if token else ""
