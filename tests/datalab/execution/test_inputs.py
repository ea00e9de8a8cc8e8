"""Files of all sources: who may use them, and what happens when they cannot be had."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from datalab.clock import now_us
from datalab.collections import UPLOADS
from datalab.domain.asked import State
from datalab.domain.uploads import Upload
from datalab.domain.users import Caller
from datalab.operations.operation import FileRef, OperationError
from shared.errors import InvalidInputError, StorageFullError, TransientError
from shared.platform import Platform
from shared.state import Collection
from tests.datalab.execution.conftest import ALICE, BOB, Lab, frames, opened, running_lab
from tests.support.archive import ArchiveSimulator, Kind
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

ALICE_AT_ARCHIVE = Caller("alice", archive_token=SecretStr("alices-token"))
BOB_AT_ARCHIVE = Caller("bob", archive_token=SecretStr("bobs-token"))


def one(source: str, basename: str) -> dict[str, Any]:
    return {"input_files": [{"source": source, "basename": basename, "url": "http://10.0.0.1/", "id": 3}]}


async def test_an_unknown_basename_is_told_within_a_second(lab: Lab) -> None:
    began = time.monotonic()
    with pytest.raises(OperationError, match="no frame missing, or you may not see it"):
        await lab.ask("Sum", frames("frame1", "missing"))

    assert time.monotonic() - began < 1
    assert (await lab.operations.find({})).items == []
    assert (await lab.computations.find({})).items == []


async def test_a_cached_result_is_only_for_who_may_see_its_inputs(lab: Lab) -> None:
    hers = await lab.ask("Sum", frames("hers"), ALICE_AT_ARCHIVE)
    assert (await lab.ended(hers)).state is State.COMPLETED

    for caller in (BOB, BOB_AT_ARCHIVE):
        with pytest.raises(OperationError, match="or you may not see it"):
            await lab.ask("Sum", frames("hers"), caller)
        with pytest.raises(OperationError, match="There is no result"):
            await lab.ask("Sum", one("datalab", hers.key), caller)


async def test_a_token_that_the_archive_refuses_is_told(lab: Lab) -> None:
    with pytest.raises(OperationError, match="does not take your token"):
        await lab.ask("Sum", frames("frame1"), Caller("eve", archive_token=SecretStr("stolen")))


async def test_the_token_goes_to_the_archive_and_nowhere_else(lab: Lab, archive: ArchiveSimulator) -> None:
    await lab.ended(await lab.ask("Sum", frames("hers"), ALICE_AT_ARCHIVE))

    assert archive.tokens_seen == ["Token alices-token"]
    computation = (await lab.computations.find({})).items[0]
    assert "alices-token" not in str(computation.record.body)


async def test_a_result_can_be_an_input(lab: Lab) -> None:
    first = await lab.ask("Sum", frames("frame1") | {"outputs": 2})
    shown = await lab.ended(first)
    assert shown.output is not None
    whole = shown.output["output_files"][1] | {"operation": "x", "operationInputData": {"input_files": []}}

    second = await lab.ask("Sum", {"input_files": [whole]})

    shown = await lab.ended(second)
    assert shown.output is not None
    assert shown.output["output_data"][0]["total"] == sum(b"100 1")


async def test_an_upload_is_its_owners_alone(lab: Lab) -> None:
    await upload(lab, "mine.fits", b"\x05" * 3)

    operation = await lab.ask("Sum", one("upload", "mine.fits"))

    shown = await lab.ended(operation)
    assert shown.output is not None
    assert shown.output["output_data"][0]["total"] == 15
    with pytest.raises(OperationError, match="You have not uploaded"):
        await lab.ask("Sum", one("upload", "mine.fits"), BOB)


async def upload(lab: Lab, basename: str, content: bytes) -> None:
    stored = await lab.platform.objects.put(f"uploads/1/{basename}", content)
    assert stored.sha256
    document = Upload(
        number=1,
        owner="alice",
        basename=basename,
        key=stored.key,
        size_bytes=len(content),
        sha256=stored.sha256,
        media_type="application/fits",
        created_us=now_us(),
    )
    await Collection(lab.platform.store, UPLOADS, Upload).insert("u1", document)


async def test_files_are_read_below_open_folders_only(
    platform: Platform, archive: ArchiveSimulator, tmp_path: Path
) -> None:
    root = tmp_path / "open"
    root.mkdir()
    (root / "a.fits").write_bytes(b"\x02")
    (tmp_path / "closed.fits").write_bytes(b"\x02")
    (root / "link.fits").symlink_to(tmp_path / "closed.fits")
    async with running_lab(platform, archive, file_roots=(str(root),)) as lab:
        shown = await lab.ended(await lab.ask("Sum", one("file", f"file://{root}/a.fits")))
        assert shown.output is not None
        assert shown.output["output_data"][0]["total"] == 2
        for path in (
            tmp_path / "closed.fits",
            root / "link.fits",
            root / ".." / "closed.fits",
            root,
            root / "no",
        ):
            with pytest.raises(OperationError, match="in the folders that are open here"):
                await lab.ask("Sum", one("file", str(path)))


@pytest.mark.parametrize("source", ["ftp", "", "product", "s3", "file"])
async def test_what_is_not_open_is_refused(lab: Lab, source: str) -> None:
    with pytest.raises(OperationError):
        await lab.ask("Sum", one(source, "s3://bucket/secret/../key"))


async def test_objects_are_read_below_open_prefixes_only(
    tmp_path: Path, archive: ArchiveSimulator, s3: S3Server
) -> None:
    bucket = s3.new_bucket()
    keys = {"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY, "s3_region": REGION}
    async with s3.open(bucket) as objects:
        await objects.put("open/a.fits", b"\x04")
        await objects.put("opened/a.fits", b"\x04")
    async with (
        opened(tmp_path / "home", s3_endpoint=s3.endpoint_url, **keys) as platform,
        running_lab(platform, archive, s3_roots=(f"s3://{bucket}/open",)) as lab,
    ):
        shown = await lab.ended(await lab.ask("Sum", one("s3", f"s3://{bucket}/open/a.fits")))
        assert shown.output is not None
        assert shown.output["output_data"][0]["total"] == 4
        for path in ("opened/a.fits", "open/../opened/a.fits", "open/none.fits", "open/%2e%2e/opened/a.fits"):
            with pytest.raises(OperationError):
                await lab.ask("Sum", one("s3", f"s3://{bucket}/{path}"))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_archive_in_trouble_while_asking_stores_nothing(
    lab: Lab, archive: ArchiveSimulator, status: int
) -> None:
    archive.fail("status", path="/frames", status=status, times=None)

    with pytest.raises(TransientError, match=f"The archive answers {status}"):
        await lab.ask("Sum", frames("frame1"))

    assert (await lab.operations.find({})).items == []


async def test_the_archives_retry_after_is_passed_on(lab: Lab, archive: ArchiveSimulator) -> None:
    archive.fail("status", path="/frames", status=429, retry_after_s=7)

    with pytest.raises(TransientError) as refused:
        await lab.ask("Sum", frames("frame1"))

    assert refused.value.retry_after is not None
    assert refused.value.retry_after.total_seconds() == 7
    assert archive.asked["frames"] == 1


async def test_one_bad_answer_is_made_good(lab: Lab, archive: ArchiveSimulator) -> None:
    for name, kind in {"frame1": "reset", "frame2": "malformed", "frame3": "status"}.items():
        archive.fail(cast("Kind", kind), path="/frames")

        (file,) = await lab.execution.files.identify([FileRef(basename=name)], ALICE)

        assert file.place == str(archive.frames[name].id)
        assert archive.faults[-1].times == 0


async def test_files_that_come_badly_come_again(lab: Lab, archive: ArchiveSimulator) -> None:
    kinds: dict[str, Kind] = {"frame0": "reset", "frame1": "cut", "frame2": "damaged", "frame3": "status"}
    for name, kind in kinds.items():
        archive.fail(kind, path=f"/files/{archive.frames[name].id}", times=2)

    asked = [await lab.ask("Sum", frames(name)) for name in kinds]

    for number, operation in enumerate(asked):
        shown = await lab.ended(operation)
        assert shown.state is State.COMPLETED
        assert shown.output is not None
        assert shown.output["output_data"][0]["total"] == 100 * number
    assert all(fault.times == 0 for fault in archive.faults)


async def test_a_file_that_never_comes_fails_the_operation(lab: Lab, archive: ArchiveSimulator) -> None:
    archive.fail("cut", path="/files/", times=None)

    shown = await lab.ended(await lab.ask("Sum", frames("frame3")))

    assert shown.state is State.FAILED
    assert "the archive's file of frame3" in shown.message
    assert "retry the operation later" in shown.message


async def test_a_silent_archive_is_given_up(platform: Platform, archive: ArchiveSimulator) -> None:
    archive.fail("hang", path="/frames", times=None)
    async with running_lab(platform, archive, archive_patience=0.3) as lab:
        with pytest.raises(TransientError, match="does not answer"):
            await lab.ask("Sum", frames("frame1"))


async def test_a_link_that_lapsed_is_asked_for_anew(lab: Lab, archive: ArchiveSimulator) -> None:
    archive.links_count_for_s = -5.0
    operation = await lab.ask("Sum", frames("frame1") | {"take_s": 0.0})
    archive.links_count_for_s = 60.0

    assert (await lab.ended(operation)).state is State.COMPLETED


async def test_a_link_to_what_only_the_user_may_see_is_the_users_to_renew(
    lab: Lab, archive: ArchiveSimulator
) -> None:
    archive.links_count_for_s = -5.0

    shown = await lab.ended(await lab.ask("Sum", frames("hers"), ALICE_AT_ARCHIVE))

    assert shown.state is State.FAILED
    assert shown.message == "The archive's link to hers has lapsed; retry the operation."


async def test_links_into_private_networks_are_not_followed(
    tmp_path: Path, archive: ArchiveSimulator
) -> None:
    archive.add("evil", b"x", url="http://127.0.0.1:9/latest/meta-data")
    async with (
        opened(tmp_path / "home", allow_private_urls=False) as platform,
        running_lab(platform, archive) as lab,
    ):
        shown = await lab.ended(await lab.ask("Sum", frames("evil")))

    assert shown.state is State.FAILED
    assert "not a public address" in shown.message


async def test_a_file_is_downloaded_once_for_all_who_need_it(lab: Lab, archive: ArchiveSimulator) -> None:
    refs = [FileRef(basename=f"frame{number}") for number in (0, 1, 0, 1, 0, 1)]

    async def read(ref: FileRef) -> bytes:
        async with lab.execution.files.local(ref, ALICE) as path:
            return path.read_bytes()

    contents = await asyncio.gather(*map(read, refs))

    assert contents == [bytes(100), b"\x01" * 100] * 3
    assert archive.asked["files"] == 2


async def test_a_frame_that_was_reduced_again_is_another(lab: Lab, archive: ArchiveSimulator) -> None:
    first = await lab.ask("Sum", frames("frame1"))
    archive.add("frame1", b"\x09" * 100)
    lab.execution.files.sources["archive"]._known.clear()  # type: ignore[attr-defined]

    second = await lab.ask("Sum", frames("frame1"))

    assert first.key != second.key
    shown = await lab.ended(second)
    assert shown.output is not None
    assert shown.output["output_data"] == [{"total": 900, "nothing": None}]


async def test_nothing_is_left_under_way(lab: Lab) -> None:
    await lab.ended(await lab.ask("Sum", frames("frame1", "frame2")))

    folder = lab.platform.settings.home / "datalab" / "under-way"
    async with asyncio.timeout(10):
        while leftovers(folder):
            await asyncio.sleep(0.02)


def leftovers(folder: Path) -> list[Path]:
    """Return the folders of computations."""
    return [path for path in folder.glob("*/*") if path.is_dir()]


async def test_no_room_for_a_download_is_told_and_leaves_room(
    platform: Platform, archive: ArchiveSimulator, full_disk: Path
) -> None:
    archive.add("large", bytes(8 << 20))
    async with running_lab(platform, archive, work_folder=full_disk / "datalab") as lab:
        with pytest.raises(StorageFullError):
            async with lab.execution.files.local(FileRef(basename="large"), ALICE):
                raise AssertionError

        assert not any((full_disk / "datalab" / "files" / "parts").iterdir())
        async with lab.execution.files.local(FileRef(basename="frame1"), ALICE) as path:
            assert path.stat().st_size == 100


async def test_kept_files_make_room_for_others_where_the_disk_is_full(
    platform: Platform, archive: ArchiveSimulator, full_disk: Path
) -> None:
    for number in range(8):
        archive.add(f"mib{number}", bytes([number]) * (1 << 20))
    async with running_lab(platform, archive, work_folder=full_disk / "datalab") as lab:
        for number in range(8):
            shown = await lab.ended(await lab.ask("Sum", frames(f"mib{number}")))
            assert shown.state is State.COMPLETED

        assert 0 < len(list((full_disk / "datalab" / "files" / "entries").iterdir())) <= 3


async def test_kept_files_make_room_for_what_comes_out(
    platform: Platform, archive: ArchiveSimulator, full_disk: Path
) -> None:
    for number in range(3):
        archive.add(f"mib{number}", bytes([number]) * (1 << 20))
    async with running_lab(platform, archive, work_folder=full_disk / "datalab") as lab:
        for number in range(3):
            await lab.ended(await lab.ask("Sum", frames(f"mib{number}")))

        shown = await lab.ended(await lab.ask("Trouble", {"how": "fill"}))

        assert shown.state is State.COMPLETED
        assert (await lab.computations.load(shown.operation.key)).body.delays > 0


async def test_a_disk_that_stays_full_is_told(
    platform: Platform, archive: ArchiveSimulator, full_disk: Path
) -> None:
    async with running_lab(platform, archive, work_folder=full_disk / "datalab") as lab:
        (full_disk / "others").write_bytes(bytes(3 << 20))

        shown = await lab.ended(await lab.ask("Trouble", {"how": "fill"}))

    assert shown.state is State.FAILED
    assert shown.message == (
        "No space is left on the worker's disk. It was tried 4 times; retry the operation later."
    )


async def test_a_folder_that_cannot_be_written_is_named(
    platform: Platform, archive: ArchiveSimulator, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidInputError, match="DATALAB_WORK_FOLDER"):
        async with running_lab(platform, archive, work_folder=tmp_path / "file" / "folder"):
            raise AssertionError


ODD = (
    "a\0b",
    "../../etc/passwd",
    "x" * 1024,
    "a b?c&d=#",
    "%2e%2e/x",
    "\n",
    "s3://",
    "file://",
    "'",
    "\u202e",
    "/",
)


async def test_odd_names_are_refused_like_unknown_ones(lab: Lab, archive: ArchiveSimulator) -> None:
    for source in lab.execution.files.sources:
        for caller in (ALICE, Caller("root", is_admin=True)):
            for name in ODD:
                with pytest.raises(OperationError):
                    await lab.execution.files.identify([FileRef(basename=name, source=source)], caller)
    assert archive.asked["files"] == 0


async def test_many_inputs_are_looked_up_once_each(lab: Lab, archive: ArchiveSimulator) -> None:
    names = [f"many{number}" for number in range(300)]
    for name in names:
        archive.add(name, b"x")

    files = await lab.execution.files.identify([FileRef(basename=name) for name in (*names, *names)], ALICE)

    assert [file.basename for file in files] == names
    assert archive.asked["frames"] == 300
