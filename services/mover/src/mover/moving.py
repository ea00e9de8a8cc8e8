"""One file's way: into the folder of its category, and then its tags off; nothing is ever overwritten.

Each step is written down before it is made, and whatever a request was answered, the server is asked what is.
So a run that is killed between any two steps is finished by the next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from mover.config import Duplicates
from mover.domain.deciding import Go, Rules, Stay, Why, joined
from mover.domain.folders import Folders
from mover.domain.moves import Move, MoveState, tag_stuck
from mover.domain.names import numbered
from mover.journal import Journal
from shared.dav import Dav, DavResource
from shared.dav.errors import AlreadyThereError, ChangedError, ParentMissingError, RefusedError
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.state import Document

NUMBERS_AT_MOST = 200
"""Names that are tried for a file whose own is taken."""

log = structlog.get_logger()


class StaysError(Exception):
    """The file stays where it is, and people are told why."""

    def __init__(self, stay: Stay) -> None:
        super().__init__(stay.sentence)
        self.stay = stay


class VanishedError(Exception):
    """Somebody changed the file, or took it away, since it was listed; the next run sees what it is now."""


@dataclass(slots=True)
class Mover:
    """Moves files of one server."""

    dav: Dav
    journal: Journal
    rules: Rules
    folders: Folders
    duplicates: Duplicates
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def move(self, file: DavResource, go: Go) -> Move:
        """Move a file, take its tags off, and return what became of it.

        Raises:
            StaysError: It stays.
            VanishedError: It is not any more what was listed.
            TransientError: Perhaps it was moved; the next run finds out.
            PermanentError: The server does not let us.
        """
        category = await self._category(go)
        folder = joined(self.rules.root, category)
        new = _line(self.journal.place, file, category, joined(folder, file.name), go.tag_ids)
        line = await self.journal.begin(new)
        try:
            line = await self._placed(line, file, folder)
        except (StaysError, VanishedError):
            await self.journal.forget(line)  # it surely was not moved
            raise
        except (PermanentError, TransientError) as error:  # a proxy may say so of what was done
            await self.journal.change(line, error=str(error))
            raise
        if line.body.is_duplicate:
            return (await self.journal.change(line, MoveState.DUPLICATE, error=None)).body
        return await self.untagged(line)

    async def untagged(self, line: Document[Move]) -> Move:
        """Take the tags off a file that is where it belongs; one that sticks is tried again later."""
        try:
            for tag_id in line.body.tag_ids:
                await self.dav.untag(line.body.file_id, tag_id)
        except (RefusedError, TransientError) as error:
            stuck = tag_stuck(line.body, str(error), datetime.now(UTC))
            log.warning("tag.stuck", file=line.body.target, error=str(error), attempt=stuck.attempts)
            return (await self.journal.put(line, stuck)).body
        return (await self.journal.change(line, MoveState.MOVED, error=None)).body

    async def _category(self, go: Go) -> str:
        """Return the category as its folder is written, made by the first file that goes there."""
        async with self._making:
            category = self.folders.chosen(go.spellings)
            if category not in self.folders:
                await self.dav.make_folders(joined(self.rules.root, category))
                self.folders.add(category)
        return category

    async def _placed(self, line: Document[Move], file: DavResource, folder: str) -> Document[Move]:
        """Move the file to the first name that is free, or delete it where its content is found."""
        for number in range(1, NUMBERS_AT_MOST + 1):
            target = joined(folder, numbered(file.name, number))
            if target != line.body.target:
                line = await self.journal.heading(line, target)
            there = await self._moved_or_there(file, target)
            if there is None or there.file_id == file.file_id:
                return line
            if await self._is_same(file, there):
                return await self._deduplicated(line, file)
        raise StaysError(Stay(Why.NO_NAME, f"{NUMBERS_AT_MOST} files in {folder} have its name"))

    async def _moved_or_there(self, file: DavResource, target: str) -> DavResource | None:
        """Move a file; None: it is moved; else what has its name there, left as it is."""
        try:
            await self._moved(file, target)
        except AlreadyThereError as error:
            there = await self._at(target)
            if there is None:  # not any more
                raise VanishedError(str(error)) from error
            return there
        except ChangedError as error:
            raise VanishedError(str(error)) from error
        except (TransientError, NotFoundError) as error:
            return await self._after_error(file, target, error)
        return None

    async def _moved(self, file: DavResource, target: str) -> None:
        try:
            await self.dav.move(file.path, target, etag=file.etag)
        except ParentMissingError:  # somebody removed the folder since it was listed
            await self.dav.make_folders(target.rpartition("/")[0])
            await self.dav.move(file.path, target, etag=file.etag)

    async def _after_error(self, file: DavResource, target: str, error: Exception) -> DavResource | None:
        """Return None if the file was moved, whatever the answer said.

        Raises:
            VanishedError: It is neither here nor there.
            TransientError: It was not moved, or nobody knows.
        """
        there = await self._at(target)
        if there is not None and there.file_id == file.file_id:
            log.info("move.happened_after_all", file=file.path, target=target, answer=str(error))
            return None
        if isinstance(error, NotFoundError):
            raise VanishedError(str(error)) from error
        raise error

    async def _at(self, path: str) -> DavResource | None:
        try:
            return await self.dav.look(path)
        except NotFoundError:
            return None

    async def _is_same(self, file: DavResource, there: DavResource) -> bool:
        """Return whether both have the same content, as the server has it stored now."""
        if there.is_folder or file.size_bytes is None or file.size_bytes != there.size_bytes:
            return False
        try:
            stored = await self.dav.stored_sha256(there.path, etag=there.etag)
            return stored == await self.dav.stored_sha256(file.path, etag=file.etag)
        except (ChangedError, NotFoundError) as error:
            raise VanishedError(str(error)) from error

    async def _deduplicated(self, line: Document[Move], file: DavResource) -> Document[Move]:
        """Delete a file whose content, verified just now, lies at the line's target."""
        if self.duplicates == "keep":
            sentence = f"{line.body.target} has the same content"
            raise StaysError(Stay(Why.DUPLICATE, sentence))
        line = await self.journal.heading(line, line.body.target, is_duplicate=True)
        try:
            await self.dav.delete(file.path, etag=file.etag, size_bytes=file.size_bytes)
        except ChangedError as error:
            raise VanishedError(str(error)) from error
        except NotFoundError:
            log.info("duplicate.gone_already", file=file.path)
        return line


def _line(place: str, file: DavResource, category: str, target: str, tag_ids: tuple[int, ...]) -> Move:
    assert file.file_id is not None  # what has tags has an id
    now = datetime.now(UTC)
    return Move(
        state=MoveState.MOVING,
        place=place,
        file_id=file.file_id,
        source=file.path,
        target=target,
        category=category,
        name=file.name,
        size_bytes=file.size_bytes or 0,
        etag=file.etag,
        tag_ids=tag_ids,
        created_at=now,
        updated_at=now,
    )
