"""``https://…/flight.zip``: the files of an archive, each read where it lies in it."""

from __future__ import annotations

import asyncio
import stat
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from shared.archives import DEFLATED, LOCAL, LOCAL_SIGNATURE, Member
from shared.errors import InvalidInputError, TransientError
from shared.sources.http_answers import shown, token_of
from shared.sources.names import why_not_confined
from shared.sources.port import (
    Capabilities,
    Entry,
    Folder,
    Skipped,
    SourceChangedError,
    SourceForbiddenError,
    changed_if_gone,
    check_offset,
    whole,
)
from shared.sources.tree import folder_of
from shared.sources.web_place import OnTheWeb
from shared.sources.zip_directory import TAIL_BYTES, directory_span, members
from shared.streams import Chunk

CHUNK_BYTES = 1 << 20
NAMES_AT_MOST_BYTES = 2 * 0xFFFF
"""Name and extra fields between an entry's header and its content."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose directory was read."""

    token: str
    """What tells that it was replaced."""
    members: dict[str, Member]
    skipped: tuple[Skipped, ...]


@dataclass
class ZipSource(OnTheWeb):
    """The files of an archive, whose directory is read anew for every listing."""

    capabilities: ClassVar[Capabilities] = Capabilities(ranges=False, parallel_at_most=4)
    """What was deflated can only be read from its beginning."""
    _archive: Archive | None = None

    async def folder(self, path: str = "") -> Folder:
        """List one of the folders that the entries' names make."""
        archive = await self._read()
        entries = [_entry(member) for member in archive.members.values()]
        return folder_of(path, entries, archive.skipped, where=shown(self.place.url))

    @asynccontextmanager
    async def open(self, entry: Entry, offset_bytes: int = 0) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Unpack one file, if the archive is the one that was listed."""
        check_offset(self, entry, offset_bytes)
        archive = self._archive or await self._read()
        member = archive.members.get(entry.path)
        if member is None or _entry(member) != entry:
            raise SourceChangedError(f"{entry.path} is not in the archive any more as it was")
        end = member.start + LOCAL.size + NAMES_AT_MOST_BYTES + member.packed_bytes
        with changed_if_gone(shown(self.place.url)):
            async with self.http.file(self.place.url, member.start, archive.token, end_bytes=end) as (
                _,
                chunks,
            ):
                yield whole(_unpacked(chunks, member), entry)

    async def _read(self) -> Archive:
        try:
            self._archive = await self._looked_at()
        except SourceForbiddenError:
            raise
        except InvalidInputError as error:
            raise InvalidInputError(f"{shown(self.place.url)}: {error}", field="source") from error
        return self._archive

    async def _looked_at(self) -> Archive:
        """Read size, tail and directory."""
        async with self.http.file(self.place.url, end_bytes=1) as (answer, _):
            size_bytes = _size_of(answer.headers.get("Content-Range", ""))
            token = token_of(answer.headers)
        if size_bytes is None:
            raise InvalidInputError("the server sends no parts of files, so that no archive is read from it")
        start = max(0, size_bytes - TAIL_BYTES)
        tail = await self._part(start, size_bytes, token)
        begin, end = directory_span(tail, size_bytes)
        held = tail[begin - start : end - start] if begin >= start else await self._part(begin, end, token)
        found = await asyncio.to_thread(members, held, begin)
        return _sorted(found, token)

    async def _part(self, start: int, end: int, token: str) -> bytes:
        part = bytearray()
        async with self.http.file(self.place.url, start, token, end_bytes=end) as (_, chunks):
            async for chunk in chunks:
                part += chunk
                if len(part) > end - start:
                    break
        if len(part) != end - start:
            raise TransientError(f"{len(part)} bytes came of the archive's end, {end - start} were asked for")
        return bytes(part)


def _size_of(content_range: str) -> int | None:
    size = content_range.rpartition("/")[2]
    return int(size) if size.isdecimal() else None


def _sorted(found: list[Member], token: str) -> Archive:
    """Return the files by name; one that is there twice, or has a name that leads away, is left out."""
    named: dict[str, Member] = {}
    skipped: list[Skipped] = []
    for member in found:
        if not _is_file(member):
            continue
        if why := why_not_confined(member.name):
            skipped.append(Skipped(member.name, f"its name {why}"))
        elif member.name in named:
            skipped.append(Skipped(member.name, "it is in the archive twice"))
        else:
            named[member.name] = member
    return Archive(token, named, tuple(skipped))


def _is_file(member: Member) -> bool:
    """Return whether an entry is neither a folder nor a link nor what a Mac adds."""
    parts = member.name.split("/")
    return bool(parts[-1]) and member.kind in (0, stat.S_IFREG) and "__MACOSX" not in parts


def _entry(member: Member) -> Entry:
    return Entry(member.name, member.size_bytes, f"{member.crc32:08x}")


async def _unpacked(chunks: AsyncIterator[Chunk], member: Member) -> AsyncIterator[Chunk]:
    crc32 = 0
    async for piece in _inflated(_content(chunks, member), member):
        crc32 = zlib.crc32(piece, crc32)
        yield piece
    if crc32 != member.crc32:
        raise InvalidInputError(f"{member.name!r} in the archive is damaged", field="source")


async def _content(chunks: AsyncIterator[Chunk], member: Member) -> AsyncIterator[Chunk]:
    """Yield the packed bytes of an entry, which begin behind a header of its own."""
    head, skip, left = bytearray(), -1, member.packed_bytes
    async for chunk in chunks:
        if skip < 0:
            head += chunk
            if len(head) < LOCAL.size:
                continue
            skip = _local_bytes(bytes(head[: LOCAL.size]), member)
            chunk = bytes(head)  # noqa: PLW2901 - the first ones together
        passed = min(skip, len(chunk))
        skip -= passed
        piece = chunk[passed : passed + left]
        left -= len(piece)
        if piece:
            yield piece
        if not skip and not left:
            return
    raise TransientError(f"{member.name!r}: the archive broke off")


def _local_bytes(header: bytes, member: Member) -> int:
    fields = LOCAL.unpack(header)
    if fields[0] != LOCAL_SIGNATURE:
        raise InvalidInputError(f"{member.name!r} in the archive is damaged", field="source")
    return LOCAL.size + int(fields[9]) + int(fields[10])


async def _inflated(packed: AsyncIterator[Chunk], member: Member) -> AsyncIterator[Chunk]:
    if member.method != DEFLATED:
        async for piece in packed:
            yield piece
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    async for piece in packed:
        waiting = piece
        while waiting:
            unpacked = await asyncio.to_thread(_step, inflater, waiting, member)
            waiting = inflater.unconsumed_tail
            if unpacked:
                yield unpacked


def _step(inflater: zlib._Decompress, packed: Chunk, member: Member) -> bytes:
    try:
        return inflater.decompress(packed, CHUNK_BYTES)
    except zlib.error as error:
        raise InvalidInputError(
            f"{member.name!r} in the archive is damaged: {error}", field="source"
        ) from error
