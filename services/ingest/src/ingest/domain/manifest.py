"""The manifest: the list of staged files, written last. Whoever reads it trusts nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingest.domain.transfers import FileRecord, FileState, Frozen
from shared.sources.port import Skipped

JPEG_MAGIC = b"\xff\xd8\xff"
"""Start of image and the first byte of the next marker (ITU T.81, annex B)."""
MAGIC_BYTES = 16


class ManifestFile(Frozen):
    """One staged file."""

    path: str
    """Relative to the flight's source."""
    key: str
    size_bytes: int
    sha256: str


class LeftOutFile(Frozen):
    """One file that was not staged, and why."""

    path: str
    reason: str


class Manifest(Frozen):
    """All files of one version, each once."""

    flight_id: str
    version: str
    images: tuple[ManifestFile, ...]
    sidecars: tuple[ManifestFile, ...] = ()
    rejected: tuple[LeftOutFile, ...] = ()


def make_manifest(
    flight_id: str,
    version: str,
    journal: Iterable[FileRecord],
    *,
    image_paths: frozenset[str],
    skipped: Sequence[Skipped] = (),
) -> Manifest:
    """Return the manifest of a finished journal, sorted by path."""
    records = sorted(journal, key=lambda record: record.path)
    kept = [record for record in records if record.state is FileState.STAGED]
    rejected = [
        LeftOutFile(path=record.path, reason=record.reason or "")
        for record in records
        if record.state is FileState.REJECTED
    ]
    return Manifest(
        flight_id=flight_id,
        version=version,
        images=tuple(_file(record) for record in kept if record.path in image_paths),
        sidecars=tuple(_file(record) for record in kept if record.path not in image_paths),
        rejected=(*rejected, *(LeftOutFile(path=item.path, reason=item.reason) for item in skipped)),
    )


def why_no_image(size_bytes: int, head: bytes) -> str | None:
    """Return why a file that begins with ``head`` cannot be a photograph, or None if it may be one."""
    if size_bytes == 0:
        return "empty: 0 bytes"
    if not head.startswith(JPEG_MAGIC):
        return f"not a JPEG: begins with {head[:4].hex(' ')}, expected ff d8 ff"
    return None


def _file(record: FileRecord) -> ManifestFile:
    return ManifestFile(
        path=record.path, key=record.key or "", size_bytes=record.size_bytes, sha256=record.sha256 or ""
    )
