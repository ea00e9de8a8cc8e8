"""Large files go on in the middle, whoever dies when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.transfers import FileRecord, FileState, PartialCopy, SentPart
from ingest.resuming import PART_BYTES, PARTS_AT_MOST, part_bytes
from shared.errors import TransientError
from shared.platform import Platform
from tests.ingest.conftest import opened
from tests.ingest.scripted import MIB, Copying, ScriptedSource, Sometimes, always, busy, jpeg
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server

SIZE = 3 * PART_BYTES + 5
KEY = "staging/f/1/files/large.jpg"
RULES: dict[str, Any] = {"resumable_from_bytes": 2 * PART_BYTES, "longest_pause_s": 0.2}


@pytest.fixture(params=["file", "s3"])
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    """Backends with one object store or the other."""
    place: dict[str, Any] = {}
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        place = {
            "objects": f"s3://{server.new_bucket()}",
            "s3_endpoint": server.endpoint_url,
            "s3_access_key": ACCESS_KEY,
            "s3_secret_key": SECRET_KEY,
        }
    async with opened(tmp_path / "home", **place) as platform:
        yield platform


@pytest.fixture
def copying(platform: Platform) -> Copying:
    """One large photograph beside a small one."""
    files = {"large.jpg": jpeg("large", SIZE), "small.jpg": jpeg("small")}
    return Copying(platform, ScriptedSource(files), RULES)


async def line(copying: Copying) -> FileRecord:
    return next(
        found.body for found in (await copying.lines.find({})).items if found.body.path == "large.jpg"
    )


async def interrupted(copying: Copying, behind_bytes: int) -> None:
    copying.source.failing = Sometimes(busy(600), times=1, behind_bytes=behind_bytes)
    with pytest.raises(TransientError):
        await copying.run()
    copying.source.failing = always(busy(), "nothing")


async def test_a_large_file_is_staged_like_any_other(copying: Copying) -> None:
    staged = await copying.run()

    assert await copying.contents(staged) == copying.source.files
    assert copying.source.read_bytes["large.jpg"] == SIZE
    assert (await line(copying)).partial is None


@pytest.mark.parametrize("parts", [1, 2])
async def test_an_interrupted_file_goes_on_behind_its_last_part(copying: Copying, parts: int) -> None:
    await interrupted(copying, parts * PART_BYTES + 2 * MIB)
    half = await line(copying)
    copying.source.read_bytes.clear()
    staged = await copying.run()

    assert half.state is FileState.COPYING
    assert half.partial is not None
    stored_bytes = half.partial.stored_bytes
    assert stored_bytes in {parts * PART_BYTES, (parts - 1) * PART_BYTES}
    assert copying.source.read_bytes["large.jpg"] == SIZE - stored_bytes
    assert await copying.contents(staged) == copying.source.files


async def test_a_file_that_was_replaced_meanwhile_begins_anew(copying: Copying) -> None:
    await interrupted(copying, 2 * PART_BYTES)
    copying.source.files["large.jpg"] = jpeg("other", SIZE)
    copying.source.tokens["large.jpg"] = "2"
    staged = await copying.run()

    assert await copying.contents(staged) == copying.source.files


async def test_a_file_that_was_stopped_just_before_its_end_is_not_read_again(copying: Copying) -> None:
    await interrupted(copying, 0)
    half, content = await line(copying), copying.source.files["large.jpg"]
    upload, sent = await copying.on.objects.parts.begin(KEY), []
    for number, start in enumerate(range(0, SIZE, PART_BYTES), 1):
        block = content[start : start + PART_BYTES]
        part = await copying.on.objects.parts.send(KEY, upload, number, start, block)
        sent.append(SentPart.model_validate(asdict(part)))
    partial = PartialCopy(upload=upload, part_bytes=PART_BYTES, parts=tuple(sent))
    (document,) = [found for found in (await copying.lines.find({})).items if found.body == half]
    await copying.lines.update(document.id, lambda body: body.model_copy(update={"partial": partial}))
    copying.source.opened.clear()
    staged = await copying.run()

    assert copying.source.opened["large.jpg"] == 0
    assert await copying.contents(staged) == copying.source.files


async def test_other_bytes_than_before_the_pause_are_found_out(copying: Copying) -> None:
    copying.source.hashes["large.jpg"] = "0" * 64
    await interrupted(copying, 2 * PART_BYTES)
    staged = await copying.run(is_last=True)

    assert await copying.left_out(staged) == {"large.jpg": "changed"}
    assert await copying.on.objects.stat("staging/f/1/files/large.jpg") is None


async def test_a_large_file_that_is_no_image_leaves_no_parts_behind(copying: Copying) -> None:
    copying.source.files["large.jpg"] = b"hello" + bytes(SIZE)
    staged = await copying.run()

    assert await copying.left_out(staged) == {"large.jpg": "not-an-image"}
    assert (await line(copying)).partial is None


async def test_a_large_file_without_an_end_is_left_out(copying: Copying) -> None:
    copying.source.files["large.jpg"] = jpeg("large", SIZE)[:-2]
    staged = await copying.run()

    assert await copying.left_out(staged) == {"large.jpg": "truncated"}


async def test_a_source_without_ranges_is_read_from_the_start(copying: Copying) -> None:
    copying.source.ranges = False
    await interrupted(copying, 2 * PART_BYTES)
    copying.source.read_bytes.clear()
    staged = await copying.run()

    assert copying.source.read_bytes["large.jpg"] == SIZE
    assert await copying.contents(staged) == copying.source.files


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES, 1000 * PART_BYTES, 1000 * PART_BYTES + 1, 5 << 40])
def test_no_file_has_more_parts_than_a_line_can_hold(size_bytes: int) -> None:
    assert -(-size_bytes // part_bytes(size_bytes)) <= PARTS_AT_MOST
    assert part_bytes(size_bytes) % MIB == 0
