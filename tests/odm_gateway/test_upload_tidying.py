"""What becomes of uploads whose gateway, or whose client, does not come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from odm_gateway.adapters.direct_upload import direct_upload
from odm_gateway.adapters.intake import read_manifest
from odm_gateway.adapters.upload_shelf import Shelf, now_us
from odm_gateway.adapters.uploads import UPLOAD_FILES, UPLOADS, Uploads
from odm_gateway.domain.callers import ANYBODY
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, DraftState, Limits, UploadedFile
from odm_gateway.loops import TASKS
from odm_gateway.upload_tidying import UploadTidying
from shared.errors import InvalidInputError, NotFoundError, PermanentError
from shared.platform import Platform
from shared.state import Collection
from tests.support.dying import Doom, Dying, KilledError

UUID = "4dbeb9e0-8b0c-4a6e-8a52-0c0c4f2a8d11"
CLEANUP = timedelta(hours=1)


def uploads_of(platform: Platform, doom: Doom | None = None, limits: Limits | None = None) -> Uploads:
    store: Any = Dying(platform.store, doom) if doom else platform.store
    objects: Any = Dying(platform.objects, doom) if doom else platform.objects
    return Uploads(
        drafts=Collection(store, UPLOADS, Draft),
        files=Collection(store, UPLOAD_FILES, UploadedFile),
        shelf=Shelf(Collection(store, TASKS, Task), objects, limits or Limits()),
    )


@pytest.fixture
async def uploads(platform: Platform) -> Uploads:
    await platform.store.declare(TASKS, UPLOADS, UPLOAD_FILES)
    return uploads_of(platform)


def task(task_id: str = UUID) -> Task:
    return Task(id=task_id, created_at=datetime.now(UTC), inserted_us=0, images="")


async def content(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def begun(uploads: Uploads, *names: str, task_id: str = UUID) -> Draft:
    await uploads.begin(task(task_id), is_dated=False)
    draft = await uploads.draft(task_id, ANYBODY)
    for name in names:
        await uploads.add(draft, name, content(name.encode()))
    return draft


async def aged(uploads: Uploads, key: str, by: timedelta = 2 * CLEANUP) -> None:
    """Let a draft and its files have been there for a while."""
    us = by // timedelta(microseconds=1)
    document = await uploads.drafts.update(key, lambda old: old.model_copy(update={"at_us": old.at_us - us}))
    async for file in uploads.files_of(document.body.upload):
        await uploads.files.update(
            file.document_id, lambda old: old.model_copy(update={"at_us": old.at_us - us})
        )


async def left(uploads: Uploads) -> tuple[int, int, list[str]]:
    """Return how many drafts and files there are, and the objects."""
    keys = [stored.key async for stored in uploads.shelf.objects.list("uploads/")]
    return await uploads.drafts.count({}), await uploads.files.count({}), keys


async def names_of(uploads: Uploads, key: str = UUID) -> set[str]:
    document = await uploads.shelf.tasks.load(key)
    assert document.body.manifest
    manifest = await read_manifest(uploads.shelf.objects, document.body.manifest)
    assert document.body.image_count == len(manifest.images)
    assert None not in [await uploads.shelf.objects.stat(file.key) for file in manifest.files]
    return {file.path for file in manifest.files}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("by", ["client", "tidying"])
async def test_a_commit_that_dies_at_any_step_comes_to_one_task(
    platform: Platform, uploads: Uploads, by: str, at: int, *, after: bool
) -> None:
    await begun(uploads, "a.jpg", "b.jpg")
    doom = Doom(at, after)
    with pytest.raises(KilledError):
        await uploads_of(platform, doom).commit(UUID, ANYBODY)
    tidying = UploadTidying(uploads, CLEANUP)
    if by == "client":
        with suppress(NotFoundError):  # it was done already, but for the answer
            await uploads.commit(UUID, ANYBODY)
    else:
        await aged(uploads, UUID, timedelta(minutes=2))
        await tidying.tidy_all()
    if doom.at == 1 and not after and by == "tidying":
        assert await uploads.shelf.tasks.get(UUID) is None  # nothing of the commit was written
        return
    assert await names_of(uploads) == {"a.jpg", "b.jpg"}
    assert await uploads.shelf.tasks.count({}) == 1
    await tidying.tidy_all()
    drafts, files, keys = await left(uploads)
    assert (drafts, files, len(keys)) == (0, 0, 3)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
async def test_an_upload_that_dies_at_any_step_can_be_repeated(
    platform: Platform, uploads: Uploads, at: int, *, after: bool
) -> None:
    draft = await begun(uploads)
    doomed = uploads_of(platform, Doom(at, after), Limits(images=1))
    with suppress(KilledError):
        await doomed.add(draft, "a.jpg", content(b"a.jpg"))
    limited = uploads_of(platform, limits=Limits(images=1))
    await limited.add(draft, "a.jpg", content(b"a.jpg"))
    with pytest.raises(InvalidInputError, match="2 images uploaded"):
        await limited.add(draft, "b.jpg", content(b"b.jpg"))
    await limited.commit(UUID, ANYBODY)
    assert await names_of(uploads) == {"a.jpg"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
async def test_a_request_with_files_that_dies_leaves_a_whole_task_or_nothing(
    platform: Platform, uploads: Uploads, at: int, *, after: bool
) -> None:
    doomed = uploads_of(platform, Doom(at, after))
    with suppress(KilledError):
        async with direct_upload(doomed.drafts, doomed.shelf, task()) as upload:
            await upload.add("a.jpg", content(b"a"))
            await upload.add("b.jpg", content(b"b"))
            await upload.commit(task())
    page = await platform.store.find(UPLOADS.name, {})
    for record in page.records:
        await aged(uploads, record.id)
    for _ in range(2):
        await UploadTidying(uploads, CLEANUP).tidy_all()
    drafts, files, keys = await left(uploads)
    assert (drafts, files) == (0, 0)
    if await uploads.shelf.tasks.get(UUID):
        assert await names_of(uploads) == {"a.jpg", "b.jpg"}
    else:
        assert keys == []


async def test_what_a_refused_request_has_stored_is_removed(uploads: Uploads) -> None:
    async def request() -> None:
        async with direct_upload(uploads.drafts, uploads.shelf, task()) as upload:
            await upload.add("a.jpg", content(b"a"))
            await upload.add("..", content(b"b"))

    with pytest.raises(InvalidInputError):
        await request()
    await UploadTidying(uploads, CLEANUP).tidy_all()
    assert await left(uploads) == (0, 0, [])


async def test_stale_uploads_are_removed_with_their_files(uploads: Uploads) -> None:
    await begun(uploads, "a.jpg", "b.jpg")
    await uploads.shelf.objects.put("uploads/other/x", b"not ours to remove")
    tidying = UploadTidying(uploads, CLEANUP)
    await tidying.tidy_all()
    assert (await left(uploads))[:2] == (1, 2)
    await aged(uploads, UUID)
    await tidying.tidy_all()
    assert await left(uploads) == (0, 0, ["uploads/other/x"])
    with pytest.raises(NotFoundError):
        await uploads.commit(UUID, ANYBODY)


async def test_an_upload_that_still_goes_on_is_not_stale(uploads: Uploads) -> None:
    draft = await begun(uploads, "a.jpg")
    await aged(uploads, UUID)
    await uploads.add(draft, "b.jpg", content(b"b"))
    await UploadTidying(uploads, CLEANUP).tidy_all()
    await uploads.commit(UUID, ANYBODY)
    assert await names_of(uploads) == {"a.jpg", "b.jpg"}


async def test_an_upload_to_a_draft_that_was_given_up_is_refused(uploads: Uploads) -> None:
    draft = await begun(uploads, "a.jpg")
    await aged(uploads, UUID)
    await UploadTidying(uploads, CLEANUP).tidy_all()
    with pytest.raises(NotFoundError, match=r"Invalid uuid \(not found\)"):
        await uploads.add(draft, "b.jpg", content(b"b"))


async def test_files_that_came_too_late_for_their_commit_are_removed(uploads: Uploads) -> None:
    draft = await begun(uploads, "a.jpg")
    await uploads.commit(UUID, ANYBODY)
    with pytest.raises(NotFoundError):
        await uploads.add(draft, "b.jpg", content(b"b"))
    await UploadTidying(uploads, CLEANUP).tidy_all()
    assert (await left(uploads))[:2] == (0, 0)
    with pytest.raises(NotFoundError):
        await uploads.add(draft, "c.jpg", content(b"c"))
    [stray] = [document async for document in uploads.files_of(draft.upload)]
    await uploads.files.update(
        stray.document_id, lambda old: old.model_copy(update={"at_us": now_us() - 3 * 3_600_000_000})
    )
    await UploadTidying(uploads, CLEANUP).tidy_all()
    drafts, files, keys = await left(uploads)
    assert (drafts, files, len(keys)) == (0, 0, 2)
    assert await names_of(uploads) == {"a.jpg"}


async def test_a_draft_whose_id_another_task_took_is_discarded(uploads: Uploads) -> None:
    await begun(uploads, "a.jpg")
    await uploads.shelf.tasks.insert(UUID, task())
    with pytest.raises(PermanentError, match=f"Invalid set-uuid: {UUID}"):
        await uploads.commit(UUID, ANYBODY)
    assert (await uploads.drafts.load(UUID)).body.state is DraftState.DISCARDED
    await UploadTidying(uploads, CLEANUP).tidy_all()
    assert await left(uploads) == (0, 0, [])


async def test_two_may_tidy_at_once(platform: Platform, uploads: Uploads) -> None:
    for number in range(5):
        await begun(uploads, "a.jpg", "b.jpg", task_id=f"task-{number}")
        await aged(uploads, f"task-{number}")
    other = uploads_of(platform)
    await asyncio.gather(*(UploadTidying(each, CLEANUP).tidy_all() for each in (uploads, other)))
    await UploadTidying(uploads, CLEANUP).tidy_all()
    assert await left(uploads) == (0, 0, [])
