"""Tasks at WebODM: uploads, imports, and their ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from discovery.adapters.webodm import WebODM
from discovery.adapters.webodm_records import PendingAction, TaskStatus, task_options
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from tests.discovery.adapters.webodm.acting import (
    KEY,
    SECRET,
    assets_zip,
    chunks_of,
    partial_task,
    upload,
)
from tests.support.webodm import Kind, WebODMServer


async def test_images_are_uploaded_committed_and_processed(server: WebODMServer, webodm: WebODM) -> None:
    task = await partial_task(webodm)
    for number in (1, 2):
        await upload(webodm, task, f"DJI_{number}.JPG", b"jpeg" * 5000 * number)

    committed = await webodm.commit_task(task.project, task.id)
    await server.settled(server.only_task())
    done = await webodm.task(task.project, task.id)

    assert (task.partial, task.status, committed.images_count) == (True, None, 2)
    assert (done.status, done.has_ended, done.has_failed) == (TaskStatus.COMPLETED, True, False)
    assert done.available_assets == ("all.zip", "orthophoto.tif")
    assert server.only_task().images() == {"DJI_1.JPG": b"jpeg" * 5000, "DJI_2.JPG": b"jpeg" * 10000}
    assert "at 30%" in await webodm.output(task.project, task.id, first_line=1)


@pytest.mark.parametrize(
    "name", ["A B.JPG", "a#b?c%41+,;'=.jpg", "Übersicht 日本.JPG", "gcp_list.txt", "x" * 251 + ".jpg"]
)
async def test_a_file_keeps_its_name(server: WebODMServer, webodm: WebODM, name: str) -> None:
    await upload(webodm, await partial_task(webodm), name, b"x")
    assert server.only_task().images() == {name: b"x"}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "a\\b", 'a"b', "a\r\nb", "a&amp;b", " a", "x" * 256]
)
async def test_a_name_that_webodm_would_change_is_refused(webodm: WebODM, name: str) -> None:
    task = await partial_task(webodm)
    with pytest.raises(InvalidInputError):
        await upload(webodm, task, name)


@pytest.mark.parametrize(
    "kind", [Kind.CUT_BEFORE, Kind.CUT_DURING, Kind.CUT_AFTER, Kind.STATUS, Kind.PAGE, Kind.EXPIRED]
)
async def test_an_upload_that_was_cut_is_repeated_as_one_file(
    server: WebODMServer, webodm: WebODM, kind: Kind
) -> None:
    task = await partial_task(webodm)
    content = b"jpeg" * 500_000
    server.faults.plan(kind, path="upload")
    with pytest.raises(TransientError):
        await upload(webodm, task, content=content)

    await upload(webodm, task, content=content)

    assert server.only_task().images() == {"A.JPG": content}


async def test_a_project_that_is_deleted_meanwhile_takes_no_more(
    server: WebODMServer, webodm: WebODM
) -> None:
    task = await partial_task(webodm)
    await upload(webodm, task)
    server.deleted_by_its_owner(server.projects[0])
    with pytest.raises(NotFoundError):
        await upload(webodm, task, "B.JPG")
    with pytest.raises(NotFoundError):
        await webodm.commit_task(task.project, task.id)


async def test_many_uploads_wait_for_each_other(server: WebODMServer, hasty: WebODM) -> None:
    task = await partial_task(hasty)
    server.faults.plan(Kind.SLOW, path="upload", times=30, delay_s=0.7)

    uploads = [upload(hasty, task, f"{number}.JPG") for number in range(30)]
    await asyncio.gather(*uploads, hasty.find_projects())

    assert len(server.only_task().images()) == 30


async def test_a_file_that_was_not_kept_whole_is_uploaded_again(server: WebODMServer, webodm: WebODM) -> None:
    task = await partial_task(webodm)
    server.library.short_files = 1
    with pytest.raises(TransientError, match=r"kept 10000 of 20000 bytes of A\.JPG"):
        await upload(webodm, task)
    await upload(webodm, task)
    assert server.only_task().images_count == 1


@pytest.mark.parametrize(("size_bytes", "what"), [(19_999, "more"), (20_001, "fewer"), (0, "more")])
async def test_a_file_of_another_size_than_was_listed_is_not_kept(
    server: WebODMServer, webodm: WebODM, size_bytes: int, what: str
) -> None:
    task = await partial_task(webodm)
    with pytest.raises(TransientError, match=f"has {what} than the {size_bytes} bytes"):
        await webodm.upload_file(
            task.project, task.id, name="A.JPG", chunks=chunks_of(b"jpeg" * 5000), size_bytes=size_bytes
        )
    assert server.only_task().images() == {}


@pytest.mark.parametrize("error", [PermanentError("gone"), TimeoutError("slow"), OSError("disk")])
async def test_what_the_source_raises_arrives_as_it_is(webodm: WebODM, error: Exception) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise error

    task = await partial_task(webodm)
    with pytest.raises(type(error)) as raised:
        await webodm.upload_file(task.project, task.id, name="A.JPG", chunks=broken(), size_bytes=100)
    assert raised.value is error


async def test_an_upload_that_stalls_ends_and_takes_no_memory(server: WebODMServer, hasty: WebODM) -> None:
    pulled_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled_bytes
        while True:
            pulled_bytes += 1 << 20
            yield bytes(1 << 20)

    task = await partial_task(hasty)
    server.faults.plan(Kind.HANG, path="upload")
    with pytest.raises(TransientError, match=r"did not answer in time to: upload A\.JPG"):
        await hasty.upload_file(task.project, task.id, name="A.JPG", chunks=endless(), size_bytes=1 << 40)
    assert pulled_bytes < 64 << 20


async def test_an_upload_that_moves_may_take_longer_than_a_stall(server: WebODMServer, hasty: WebODM) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.45)
            yield b"1234"

    task = await partial_task(hasty)
    await hasty.upload_file(task.project, task.id, name="A.JPG", chunks=slow(), size_bytes=24)
    assert server.only_task().images() == {"A.JPG": b"1234" * 6}


async def test_uploads_beside_each_other_survive_the_end_of_their_token(
    server: WebODMServer, webodm: WebODM
) -> None:
    task = await partial_task(webodm)
    server.accounts.expire_tokens()

    async def repeated(number: int) -> None:
        try:
            await upload(webodm, task, f"{number}.JPG")
        except TransientError:
            await upload(webodm, task, f"{number}.JPG")

    await asyncio.gather(*(repeated(number) for number in range(12)))

    assert len(server.only_task().images()) == 12
    assert server.accounts.logins == 2


async def test_a_task_whose_answer_was_lost_is_adopted(server: WebODMServer, webodm: WebODM) -> None:
    project = await webodm.create_project("P")
    server.faults.plan(Kind.CUT_AFTER, "POST", path="tasks/$")
    with pytest.raises(TransientError):
        await webodm.ensure_partial_task(project.id, KEY, name="T")

    task, is_new = await webodm.ensure_partial_task(project.id, KEY, name="T")

    assert not is_new
    assert task.id == server.only_task().id


async def test_options_arrive_as_webodm_takes_them(server: WebODMServer, webodm: WebODM) -> None:
    project = await webodm.create_project("P")
    options = {"dsm": True, "fast-orthophoto": False, "min-num-features": 0, "crop": 2.5, "gcp": None}
    await webodm.start_partial_task(project.id, name="T", options=options)
    assert server.only_task().options == [
        {"name": "dsm", "value": True},
        {"name": "min-num-features", "value": "0"},
        {"name": "crop", "value": 2.5},
    ]
    assert task_options({}) == []


async def test_results_are_fetched_by_webodm(server: WebODMServer, webodm: WebODM, results: str) -> None:
    project = await webodm.create_project("P")

    begun = await webodm.import_task(project.id, name="North 1a2b", url=results)
    await server.settled(server.only_task())
    done = await webodm.task(project.id, begun.id)

    assert begun.pending_action == PendingAction.IMPORT
    assert not begun.has_ended
    assert (done.status, done.available_assets) == (TaskStatus.COMPLETED, ("all.zip", "orthophoto.tif"))
    assert (server.only_task().assets / "all.zip").read_bytes() == assets_zip()


async def test_an_import_whose_answer_was_lost_is_adopted(
    server: WebODMServer, webodm: WebODM, results: str
) -> None:
    project = await webodm.create_project("P")
    server.faults.plan(Kind.CUT_AFTER, "POST", path="import$")
    with pytest.raises(TransientError):
        await webodm.ensure_imported_task(project.id, name="North 1a2b", url=results)

    task, is_new = await webodm.ensure_imported_task(project.id, name="North 1a2b", url=results)

    assert not is_new
    assert task.id == server.only_task().id


async def test_an_import_that_failed_is_made_anew_and_its_error_has_no_secret(
    server: WebODMServer, webodm: WebODM, results: str
) -> None:
    project = await webodm.create_project("P")
    begun = await webodm.import_task(project.id, name="N", url=f"http://127.0.0.1:9/all.zip?{SECRET}")
    await server.settled(server.only_task())
    failed = await webodm.task(project.id, begun.id)
    assert "5ec7e7" in (server.only_task().last_error or "")

    _, is_new = await webodm.ensure_imported_task(project.id, name="N", url=results)

    assert is_new
    assert failed.has_failed
    assert "Max retries exceeded" in (failed.last_error or "")
    assert "5ec7e7" not in (failed.last_error or "")


async def test_only_the_web_is_imported_from(webodm: WebODM) -> None:
    project = await webodm.create_project("P")
    with pytest.raises(InvalidInputError, match="http:// or https://"):
        await webodm.import_task(project.id, name="N", url="tapis://system/path")


async def test_a_task_is_removed_and_may_be_gone(webodm: WebODM) -> None:
    task = await partial_task(webodm)
    await upload(webodm, task)

    await webodm.remove_task(task.project, task.id)
    async with asyncio.timeout(20):
        while await webodm.tasks(task.project):
            await asyncio.sleep(0.02)
    await webodm.remove_task(task.project, task.id)


@pytest.mark.parametrize("task_id", ["", "../../users", "a/b", "a?b"])
async def test_a_task_id_cannot_lead_elsewhere(webodm: WebODM, task_id: str) -> None:
    with pytest.raises(InvalidInputError):
        await webodm.task(1, task_id)
