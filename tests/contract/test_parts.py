"""Objects that arrive in parts, in every store."""

from __future__ import annotations

import hashlib
import os

import pytest

from shared.errors import NotFoundError, TransientError
from shared.objects.port import ContentError, ObjectStore, Part

MIB = 1 << 20
CONTENT = os.urandom(11 * MIB + 3)
CUT = [(0, 5 * MIB), (5 * MIB, 10 * MIB), (10 * MIB, len(CONTENT))]
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def sent(objects: ObjectStore, upload: str, *numbers: int) -> list[Part]:
    """Send some of the parts."""
    return [
        await objects.parts.send("k", upload, number, CUT[number - 1][0], CONTENT[slice(*CUT[number - 1])])
        for number in numbers
    ]


@pytest.mark.parametrize("known", [SHA256, None], ids=["its hash was seen", "its hash is read back"])
async def test_parts_become_one_object(objects: ObjectStore, known: str | None) -> None:
    upload = await objects.parts.begin("k")
    parts = [*await sent(objects, upload, 1), *await sent(objects, upload, 2, 3)]
    assert await objects.stat("k") is None
    stored = await objects.parts.finish("k", upload, parts, sha256=known, content_type="image/jpeg")
    stat = await objects.stat("k")

    assert stat is not None
    assert (stat.size_bytes, stat.sha256, stat.content_type) == (len(CONTENT), SHA256, "image/jpeg")
    assert (stored.size_bytes, stored.sha256) == (len(CONTENT), SHA256)
    assert await objects.read("k") == CONTENT


async def test_a_part_may_be_sent_again(objects: ObjectStore) -> None:
    upload = await objects.parts.begin("k")
    await sent(objects, upload, 1, 2)
    parts = [*await sent(objects, upload, 1), *await sent(objects, upload, 2, 3)]

    assert (await objects.parts.finish("k", upload, parts)).sha256 == SHA256


async def test_what_was_finished_is_finished_again(objects: ObjectStore) -> None:
    upload = await objects.parts.begin("k")
    parts = await sent(objects, upload, 1, 2, 3)
    await objects.parts.finish("k", upload, parts, sha256=SHA256)

    assert (await objects.parts.finish("k", upload, parts)).sha256 == SHA256


async def test_parts_that_were_not_sent_so_are_found_out(objects: ObjectStore) -> None:
    upload = await objects.parts.begin("k")
    first, *rest = await sent(objects, upload, 1, 2, 3)
    lie = Part(1, first.size_bytes, hashlib.sha256(b"other").hexdigest(), first.etag)

    with pytest.raises(ContentError, match="part 1 does not have the hash"):
        await objects.parts.finish("k", upload, [lie, *rest])


@pytest.mark.parametrize("objects", ["file", pytest.param("s3", marks=pytest.mark.long)], indirect=True)
async def test_an_aborted_upload_is_gone(objects: ObjectStore) -> None:
    upload = await objects.parts.begin("k")
    parts = await sent(objects, upload, 1)
    await objects.parts.abort("k", upload)
    await objects.parts.abort("k", upload)

    with pytest.raises((NotFoundError, TransientError)):  # moto says 500 where S3 says 404, for half a minute
        await sent(objects, upload, 2)
    with pytest.raises((NotFoundError, TransientError)):
        await objects.parts.finish("k", upload, parts)
