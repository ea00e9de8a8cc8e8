"""The manifest: the list of staged files, written last. Whoever reads it trusts nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ingest.domain.transfers import FileRecord, FileState, Frozen, Rejection
from shared.sources.port import Skipped


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
    kind: Rejection = Rejection.UNREADABLE


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
    rejected = [_left_out(record) for record in records if record.state is FileState.REJECTED]
    return Manifest(
        flight_id=flight_id,
        version=version,
        images=tuple(_file(record) for record in kept if record.path in image_paths),
        sidecars=tuple(_file(record) for record in kept if record.path not in image_paths),
        rejected=(*rejected, *(LeftOutFile(path=item.path, reason=item.reason) for item in skipped)),
    )


def duplicates(records: Iterable[FileRecord]) -> list[tuple[FileRecord, FileRecord]]:
    """Return the staged files whose content another one has, each with the one to keep: the first by path."""
    kept: dict[str, FileRecord] = {}
    found = []
    for record in sorted(records, key=lambda record: record.path):
        if record.state is FileState.STAGED and record.sha256:
            first = kept.setdefault(record.sha256, record)
            if first is not record:
                found.append((record, first))
    return found


def _left_out(record: FileRecord) -> LeftOutFile:
    kind = record.rejected_as or Rejection.UNREADABLE
    return LeftOutFile(path=record.path, reason=record.reason or "", kind=kind)


def _file(record: FileRecord) -> ManifestFile:
    return ManifestFile(
        path=record.path, key=record.key or "", size_bytes=record.size_bytes, sha256=record.sha256 or ""
    )
