"""Every fault of a source: nothing is lost, nothing half staged, and one bad file stops no other."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ingest.domain.transfers import FileState, Rejection
from shared.budget import Budget
from shared.errors import PermanentError, TransientError
from shared.platform import Platform
from shared.sources import SourceChangedError, SourceForbiddenError
from shared.sources.port import LoginNeededError
from tests.ingest.scripted import MIB, Copying, ScriptedSource, Sometimes, always, busy, jpeg


@pytest.fixture
def source() -> ScriptedSource:
    """Three photographs and a list of ground control points."""
    files = {f"{number}.jpg": jpeg(str(number), 3 * MIB + number) for number in range(3)}
    return ScriptedSource({**files, "gcp_list.txt": b"EPSG:32632"})


@pytest.fixture
def copying(platform: Platform, source: ScriptedSource) -> Copying:
    return Copying(platform, source)


async def test_what_is_staged_is_what_the_source_has(copying: Copying, source: ScriptedSource) -> None:
    staged = await copying.run()

    assert await copying.contents(staged) == source.files
    assert (staged.image_count, staged.rejected_count) == (3, 0)
    assert copying.tally.amounts.files_done == 4
    assert copying.tally.amounts.bytes_done == copying.tally.amounts.bytes_total


async def test_each_kind_of_bad_file_is_left_out_with_its_reason(copying: Copying) -> None:
    copying.source.files |= {
        "text.jpg": b"hello, this is no image",
        "cut.jpg": jpeg("cut", 2 * MIB)[:-1000],
        "empty.jpg": b"",
        "twin.jpg": copying.source.files["1.jpg"],
        "huge.jpg": jpeg("huge", 9 * MIB),
        "secret.jpg": jpeg("secret"),
    }
    copying.rules = {"file_bytes_at_most": 8 * MIB}
    copying.source.failing = always(SourceForbiddenError("secret.jpg may not be read"), "secret.jpg")
    staged = await copying.run()

    assert await copying.left_out(staged) == {
        "text.jpg": "not-an-image",
        "cut.jpg": "truncated",
        "empty.jpg": "zero-bytes",
        "twin.jpg": "duplicate",
        "huge.jpg": "over-limit",
        "secret.jpg": "unreadable",
    }
    assert sorted(await copying.contents(staged)) == ["0.jpg", "1.jpg", "2.jpg", "gcp_list.txt"]
    assert copying.source.opened["huge.jpg"] == copying.source.opened["empty.jpg"] == 0


async def test_nothing_of_a_file_that_was_left_out_stays_in_the_store(copying: Copying) -> None:
    copying.source.files |= {"cut.jpg": jpeg("cut")[:-2], "twin.jpg": copying.source.files["1.jpg"]}
    await copying.run()
    kept = [item.key.rpartition("/")[2] async for item in copying.on.objects.list("staging/")]

    assert kept == ["0.jpg", "1.jpg", "2.jpg", "gcp_list.txt", "manifest.json"]


async def test_of_files_with_the_same_content_the_first_by_name_is_kept(copying: Copying) -> None:
    copying.source.files |= {"a-twin.jpg": copying.source.files["1.jpg"]}
    staged = await copying.run()
    (left_out,) = (await copying.manifest(staged)).rejected

    assert left_out.reason == "duplicate: the same content as 1.jpg"
    assert left_out.path == "a-twin.jpg"


async def test_images_beyond_the_limit_are_left_out(copying: Copying) -> None:
    copying.rules = {"files_at_most": 2}
    staged = await copying.run()

    assert await copying.left_out(staged) == {"2.jpg": "over-limit"}


@pytest.mark.parametrize(
    "error",
    [busy(), SourceChangedError("0 bytes came, 9 were listed"), TransientError("reset by peer")],
    ids=["busy", "cut", "reset"],
)
async def test_what_passes_is_tried_again_at_once(copying: Copying, error: Exception) -> None:
    copying.source.failing = Sometimes(error, times=2, behind_bytes=MIB)
    staged = await copying.run()

    assert await copying.contents(staged) == copying.source.files


async def test_a_file_that_fails_too_often_leaves_the_others_in_the_journal(copying: Copying) -> None:
    copying.source.failing = always(TransientError("reset by peer"), "1.jpg")
    with pytest.raises(TransientError, match=r"1 of 4 files failed: 1\.jpg: reset by peer"):
        await copying.run()
    lines = {line.body.path: line.body for line in (await copying.lines.find({})).items}
    opened = copying.source.opened.copy()
    copying.source.failing = always(busy(), "nothing")
    staged = await copying.run()

    assert (lines["1.jpg"].state, lines["1.jpg"].attempts) == (FileState.COPYING, 1)
    assert copying.source.opened - opened == {"1.jpg": 1}
    assert staged.image_count == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransientError("reset by peer"), "unreadable"),
        (SourceChangedError("8 bytes came, 9 were listed"), "changed"),
    ],
)
async def test_one_file_that_never_can_be_read_is_left_out_in_the_end(
    copying: Copying, error: Exception, kind: str
) -> None:
    copying.source.failing = always(error, "1.jpg")
    staged = await copying.run(is_last=True)

    assert await copying.left_out(staged) == {"1.jpg": kind}
    assert (staged.image_count, staged.unlucky_count) == (2, 1)


async def test_many_files_that_cannot_be_read_are_the_source_and_not_the_files(copying: Copying) -> None:
    copying.source.failing = always(TransientError("reset by peer"), "1.jpg", "2.jpg")
    with pytest.raises(TransientError, match="2 of 4 files failed"):
        await copying.run(is_last=True)


async def test_a_file_that_was_left_out_for_bad_luck_is_tried_again(copying: Copying) -> None:
    copying.source.failing = always(TransientError("reset by peer"), "1.jpg")
    await copying.run(is_last=True)
    copying.source.failing = always(busy(), "nothing")
    staged = await copying.run()

    assert (staged.image_count, staged.unlucky_count) == (3, 0)


async def test_a_server_that_asks_for_much_patience_ends_the_attempt(copying: Copying) -> None:
    copying.rules["longest_pause_s"] = 0.2
    copying.source.failing = always(busy(600), "1.jpg")
    with pytest.raises(TransientError) as raised:
        await copying.run()

    assert raised.value.retry_after is not None
    assert raised.value.retry_after.total_seconds() == 600
    assert copying.source.opened["1.jpg"] == 1


async def test_a_login_that_ended_stops_the_attempt_at_once(copying: Copying) -> None:
    copying.source.files |= {f"more-{number}.jpg": jpeg(str(number)) for number in range(50)}
    copying.source.failing = always(LoginNeededError("log in again at https://example.org"))
    with pytest.raises(LoginNeededError, match="log in again at"):
        await copying.run()

    assert copying.source.opened.total() <= copying.files_at_once
    assert (await copying.lines.find({})).items == []


async def test_a_hash_that_the_source_claims_is_checked(copying: Copying) -> None:
    copying.source.hashes = {"1.jpg": "0" * 64}
    staged = await copying.run(is_last=True)

    assert await copying.left_out(staged) == {"1.jpg": "changed"}


async def test_a_source_that_changed_meanwhile_is_not_staged(copying: Copying) -> None:
    def grow(entry: object, _passed: int) -> None:
        del entry
        copying.source.files.setdefault("late.jpg", jpeg("late"))

    copying.source.failing = grow
    with pytest.raises(TransientError, match="changed while it was copied"):
        await copying.run()
    staged = await copying.run()

    assert staged.image_count == 4
    assert [item.key async for item in copying.on.objects.list("staging/f/1/manifest")] == [
        "staging/f/1/manifest.json"
    ]


async def test_a_flight_of_bad_files_only_says_so(copying: Copying) -> None:
    copying.source.files = {"a.jpg": b"", "b.jpg": b"hello"}
    with pytest.raises(PermanentError, match="none of the 2 files of f is a usable image"):
        await copying.run()


async def test_more_files_than_the_budget_holds_are_copied_in_turn(platform: Platform) -> None:
    files = {f"{number:02}.jpg": jpeg(str(number), 2 * MIB) for number in range(20)}
    copying = Copying(platform, ScriptedSource(files), budget=Budget(4 * MIB), files_at_once=16)
    staged = await copying.run()

    assert staged.image_count == 20
    assert copying.tally.amounts.rejected == {}


async def test_the_journal_has_hash_and_size_of_every_file(copying: Copying) -> None:
    await copying.run()
    lines = [line.body for line in (await copying.lines.find({"transfer": "f.1"})).items]

    assert {line.path: (line.size_bytes, line.sha256) for line in lines} == {
        name: (len(content), sha256(content).hexdigest()) for name, content in copying.source.files.items()
    }
    assert Rejection.UNREADABLE not in {line.rejected_as for line in lines}
