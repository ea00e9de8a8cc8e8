"""PyODM and PyODX, unmodified, on all that they can do."""

import asyncio
import os
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.odm_gateway.wire_suite.conftest import TOKEN
from tests.odm_gateway.wire_suite.gateways import Process
from tests.support.webhook_receiver import webhook_receiver

# Both leave streamed answers unclosed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

in_thread = asyncio.to_thread
"""Both clients block."""


def node_at(client: Any, process: Process, token: str = "") -> Any:
    return client.Node("127.0.0.1", process.port, token)


async def created(client: Any, process: Process, photos: list[str], token: str = "", **more: Any) -> Any:
    """Make a task by three uploads in parallel."""
    node = node_at(client, process, token)
    return await in_thread(node.create_task, photos, parallel_uploads=3, max_retries=0, **more)


async def completed(client: Any, process: Process, photos: list[str], token: str = "", **more: Any) -> Any:
    """Make a task and wait until it is complete."""
    task = await created(client, process, photos, token, **more)
    await in_thread(task.wait_for_completion, interval=0.2)
    return task


async def test_info_and_options_are_understood(client: Any, quick_process: Process) -> None:
    node = node_at(client, quick_process)
    info, options = await in_thread(node.info), await in_thread(node.options)
    assert (info.max_images, info.max_parallel_tasks, info.task_queue_count >= 0) == (None, 4, True)
    assert await in_thread(node.version_greater_or_equal_than, "1.4.0")
    assert len(options) == 82
    assert {option.type for option in options} == {"bool", "float", "enum", "int", "string"}


async def test_a_task_goes_from_upload_to_assets(
    client: Any, quick_process: Process, photos: list[str], tmp_path: Path
) -> None:
    uploaded: list[float] = []
    task = await created(client, quick_process, photos, name="Höhe 3: a b", progress_callback=uploaded.append)
    seen: list[Any] = []
    await in_thread(task.wait_for_completion, status_callback=seen.append, interval=0.1)
    info, output = await in_thread(task.info), await in_thread(task.output)
    folder = await in_thread(task.download_assets, str(tmp_path / "assets"))
    assert uploaded[-1] == 100.0
    assert (info.uuid, info.name, info.images_count, info.status.value) == (task.uuid, "Höhe 3: a b", 3, 40)
    assert (info.progress, info.last_error, info.date_created.year >= 2026) == (100, "", True)
    assert [each.progress for each in seen] == sorted(each.progress for each in seen)
    assert isinstance(output, list)
    assert (Path(folder) / "odm_orthophoto/odm_orthophoto.tif").read_bytes()[:2] == b"II"


async def test_output_comes_from_a_line_on(client: Any, quick_process: Process, photos: list[str]) -> None:
    task = await completed(client, quick_process, photos)
    whole = await in_thread(task.output)
    assert await in_thread(task.output, 2) == whole[2:]
    assert await in_thread(task.output, -2) == whole[-2:]
    assert (await in_thread(task.info, with_output=-1)).output == whole[-1:]


async def test_options_come_back_as_they_were_sent(
    client: Any, quick_process: Process, photos: list[str]
) -> None:
    sent = {"dsm": True, "orthophoto-resolution": 2.5, "feature-quality": "low", "min-num-features": 9000}
    task = await created(client, quick_process, photos, options=sent, skip_post_processing=True)
    info = await in_thread(task.info)
    assert {option["name"]: option["value"] for option in info.options} == sent


async def test_post_processing_is_added_unless_it_is_skipped(
    client: Any, quick_process: Process, photos: list[str]
) -> None:
    for skips, names in ((False, ["dsm", "pc-ept", "cog", "gltf"]), (True, ["dsm"])):
        task = await created(client, quick_process, photos, options={"dsm": True}, skip_post_processing=skips)
        assert [option["name"] for option in (await in_thread(task.info)).options] == names


async def test_a_node_is_named_by_its_url(client: Any, limited_process: Process) -> None:
    node = client.Node.from_url(f"{limited_process.url}/?token={TOKEN}")
    assert (await in_thread(node.info)).max_images == 3


async def test_wrong_options_are_an_error_of_the_request(
    client: Any, quick_process: Process, photos: list[str]
) -> None:
    with pytest.raises(client.exceptions.NodeResponseError, match="not in enum"):
        await created(client, quick_process, photos, options={"feature-quality": "best"})


@pytest.mark.parametrize(("chunk_mib", "ranges"), [(10, 4), (2, 18)])
async def test_sixteen_ranges_at_once_fetch_a_large_archive(
    client: Any, quick_process: Process, photos: list[str], tmp_path: Path, chunk_mib: int, ranges: int
) -> None:
    task = await completed(client, quick_process, photos)
    filler = os.urandom(35 << 20)
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        archive.writestr("odm_orthophoto/odm_orthophoto.tif", filler)
    content = (tmp_path / "large.zip").read_bytes()
    await quick_process.store(f"products/{task.uuid}/all.zip", content, "application/zip")
    told: list[float] = []
    path = await in_thread(
        task.download_zip, str(tmp_path / "zip"), told.append, parallel_downloads=16,
        parallel_chunks_size=chunk_mib,
    )  # fmt: skip
    assert Path(path).read_bytes() == content
    assert (len(told), told[-1]) == (ranges, 100)  # one call for each range: it was not fetched whole


async def test_an_unfinished_task_has_no_archive(
    client: Any, busy_process: Process, photos: list[str], tmp_path: Path
) -> None:
    task = await created(client, busy_process, photos)
    with pytest.raises(client.exceptions.NodeResponseError, match="Cannot download"):
        await in_thread(task.download_zip, str(tmp_path))
    assert (await in_thread(task.info)).status == client.types.TaskStatus.RUNNING


async def test_a_canceled_task_is_restarted_and_removed(
    client: Any, busy_process: Process, photos: list[str]
) -> None:
    task = await created(client, busy_process, photos)
    assert await in_thread(task.cancel) is True
    assert (await in_thread(task.info)).status == client.types.TaskStatus.CANCELED
    with pytest.raises(client.exceptions.TaskFailedError):
        await in_thread(task.wait_for_completion, interval=0.1)
    assert await in_thread(task.restart, {"dsm": True}) is True
    info = await in_thread(task.info)
    assert (info.uuid, info.status.value in (10, 20)) == (task.uuid, True)
    assert info.options[0] == {"name": "dsm", "value": True}
    assert await in_thread(task.remove) is True
    with pytest.raises(client.exceptions.NodeResponseError, match="not found"):
        await in_thread(task.info)


async def test_a_running_task_cannot_be_restarted(
    client: Any, busy_process: Process, photos: list[str]
) -> None:
    task = await created(client, busy_process, photos)
    with pytest.raises(client.exceptions.NodeResponseError, match="Task cannot be restarted"):
        await in_thread(task.restart)


async def test_a_failure_has_its_reason(client: Any, quick_process: Process, photos: list[str]) -> None:
    task = await created(client, quick_process, photos, options={"camera-lens": "dual"})
    with pytest.raises(client.exceptions.TaskFailedError):
        await in_thread(task.wait_for_completion, interval=0.1)
    assert (await in_thread(task.info)).last_error == "Cannot process dataset"


async def test_a_task_of_another_id_is_not_found(client: Any, quick_process: Process) -> None:
    task = node_at(client, quick_process).get_task(str(uuid4()))
    for ask in (task.info, task.output, task.cancel, task.remove, task.restart):
        with pytest.raises(client.exceptions.NodeResponseError, match="not found"):
            await in_thread(ask)


async def test_the_id_may_be_chosen(client: Any, quick_process: Process, photos: list[str]) -> None:
    uuid = str(uuid4())
    task = await created(client, quick_process, photos, task_uuid=uuid)
    assert task.uuid == uuid
    with pytest.raises(client.exceptions.NodeResponseError, match="Invalid set-uuid"):
        await created(client, quick_process, photos, task_uuid=uuid)


async def test_the_right_token_opens_and_a_wrong_one_does_not(
    client: Any, limited_process: Process, photos: list[str]
) -> None:
    task = await completed(client, limited_process, photos, TOKEN)
    assert (await in_thread(task.info)).images_count == 3
    wrong = node_at(client, limited_process, "wrong")
    for ask in (wrong.info, wrong.options, wrong.get_task(task.uuid).info, wrong.get_task(task.uuid).cancel):
        with pytest.raises(client.exceptions.NodeResponseError, match="token does not match"):
            await in_thread(ask)
    with pytest.raises(client.exceptions.NodeResponseError, match="token does not match"):
        await created(client, limited_process, photos, "wrong")


async def test_a_token_that_leaked_from_another_node_does_no_harm(
    client: Any, limited_process: Process, quick_process: Process, photos: list[str]
) -> None:
    await in_thread(node_at(client, limited_process, TOKEN).info)
    task = await completed(client, quick_process, photos)
    assert (await in_thread(task.info)).images_count == 3


async def test_more_images_than_allowed_are_refused(
    client: Any, limited_process: Process, photos: list[str], tmp_path: Path
) -> None:
    """While they are uploaded; of uploads at the same moment perhaps after the commit, as NodeODM does."""
    fourth = tmp_path / "fourth.jpg"
    fourth.write_bytes(b"another")
    words = "4 images uploaded, but this node can only process up to 3."
    try:
        task = await created(client, limited_process, [*photos, str(fourth)], TOKEN)
    except client.exceptions.NodeResponseError as error:
        assert str(error) == words  # noqa: PT017 - it need not come to this
        return
    with pytest.raises(client.exceptions.TaskFailedError):
        await in_thread(task.wait_for_completion, interval=0.1)
    assert (await in_thread(task.info)).last_error == words


async def test_the_webhook_and_the_outputs_are_taken(
    client: Any, quick_process: Process, photos: list[str]
) -> None:
    async with webhook_receiver() as receiver:
        task = await created(
            client, quick_process, photos, webhook=f"{receiver.url}/end", outputs=["odm_orthophoto"]
        )
        [heard] = await receiver.wait(1)
    assert (heard.payload["uuid"], heard.payload["status"]) == (task.uuid, {"code": 40})


async def test_an_older_clients_single_request_is_taken(
    client: Any, quick_process: Process, photos: list[str]
) -> None:
    sent: list[float] = []
    node = node_at(client, quick_process)
    task = await in_thread(
        node.create_task_fallback, photos, {"dsm": True}, name="old", progress_callback=sent.append
    )
    await in_thread(task.wait_for_completion, interval=0.2)
    assert ((await in_thread(task.info)).images_count, sent[-1]) == (3, 100.0)
