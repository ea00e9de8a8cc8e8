"""The fields of /info, as clients decode them."""

import asyncio
import time

from tests.odm_gateway.wire_suite.gateways import Node


async def test_s1_3_version_is_three_integers_that_clients_take_for_new(node: Node) -> None:
    version = (await node.get("/info"))["version"]
    parts = [int(part) for part in version.split(".")]
    assert len(parts) == 3
    assert parts >= [1, 5, 1]
    assert len(version) <= 32


async def test_s1_3_task_queue_count_is_what_waits_and_runs(busy: Node) -> None:
    before = (await busy.get("/info"))["taskQueueCount"]
    made = [await busy.task(1) for _ in range(3)]
    await asyncio.sleep(2.5)  # it may be two seconds old
    during = (await busy.get("/info"))["taskQueueCount"]
    for uuid in made:
        await busy.post("/task/cancel", data={"uuid": uuid})
    async with asyncio.timeout(30):
        while (await busy.get("/info"))["taskQueueCount"] > before:
            await asyncio.sleep(0.5)
    assert (type(before), during) == (int, before + 3)


async def test_s1_3_memory_is_whole_bytes(node: Node) -> None:
    info = await node.get("/info")
    assert 0 < info["availableMemory"] <= info["totalMemory"]
    assert [type(info[name]) for name in ("totalMemory", "availableMemory")] == [int, int]


async def test_s1_3_cpu_count_is_whole(node: Node) -> None:
    count = (await node.get("/info"))["cpuCores"]
    assert (type(count), count > 0) == (int, True)


async def test_s1_3_max_images_is_a_whole_number_or_null(node: Node, limited: Node) -> None:
    assert [(await one.get("/info"))["maxImages"] for one in (node, limited)] == [None, 3]


async def test_s1_3_max_parallel_tasks_leaves_clusterodm_slots(node: Node, limited: Node) -> None:
    assert [(await one.get("/info"))["maxParallelTasks"] for one in (node, limited)] == [4, 1]


async def test_s1_3_engine_and_its_version_fit_webodms_columns(node: Node) -> None:
    info = await node.get("/info")
    assert all(0 < len(info[name]) <= 32 for name in ("engine", "engineVersion"))


async def test_s1_3_odm_version_is_gone(node: Node) -> None:
    assert "odmVersion" not in await node.get("/info")


async def test_q9_info_and_options_answer_within_five_seconds(busy: Node) -> None:
    for path in ("/info", "/options"):
        began = time.monotonic()
        await busy.get(path)
        assert time.monotonic() - began < 5
