from __future__ import annotations

import pytest

from ingest.domain.images import why_no_image
from ingest.domain.manifest import make_manifest
from ingest.domain.transfers import FileRecord, FileState
from shared.sources import Skipped


def record(path: str, reason: str | None = None) -> FileRecord:
    state = FileState.REJECTED if reason else FileState.STAGED
    return FileRecord(
        transfer="f.v", path=path, size_bytes=3, token="t", state=state, key=path, sha256="ab", reason=reason
    )  # fmt: skip


def test_a_manifest_sorts_images_sidecars_and_rejected_files() -> None:
    journal = [record("b.jpg"), record("a.jpg"), record("geo.txt"), record("c.jpg", "empty: 0 bytes")]
    paths = frozenset({"a.jpg", "b.jpg", "c.jpg"})
    manifest = make_manifest("f", "v", journal, image_paths=paths, skipped=[Skipped("d.jpg", "a folder")])

    assert [file.path for file in manifest.images] == ["a.jpg", "b.jpg"]
    assert [file.path for file in manifest.sidecars] == ["geo.txt"]
    assert {file.path: file.reason for file in manifest.rejected} == {
        "c.jpg": "empty: 0 bytes",
        "d.jpg": "a folder",
    }


@pytest.mark.parametrize(
    ("size_bytes", "head", "reason"),
    [
        (0, b"", "empty: 0 bytes"),
        (5, b"hello", "not a JPEG: begins with 68 65 6c 6c, expected ff d8 ff"),
        (2, b"\xff\xd8", "not a JPEG: begins with ff d8, expected ff d8 ff"),
        (9, b"\xff\xd8\xff\xe1", None),
        (9, b"\xff\xd8\xff\xdb", None),
    ],
)
def test_only_the_start_of_a_jpeg_is_an_image(size_bytes: int, head: bytes, reason: str | None) -> None:
    why = why_no_image("a.JPG", size_bytes, head)

    assert (why[1] if why else None) == reason
