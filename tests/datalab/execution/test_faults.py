"""What is outside goes wrong while an operation is on its way: the archive, the object store, a library."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from datalab.domain.asked import AskedOperation, State
from shared.platform import Platform
from tests.datalab.execution.conftest import Lab, frames, opened, running_lab
from tests.datalab.execution.test_inputs import ALICE_AT_ARCHIVE
from tests.support.archive import ArchiveSimulator
from tests.support.gate import gate_to
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


async def until_delayed(lab: Lab, operation: AskedOperation) -> float:
    """Wait until a computation is to be tried again; return in how many seconds."""
    async with asyncio.timeout(60):
        while not (one := (await lab.computations.load(operation.key)).body).delays:
            await asyncio.sleep(0.02)
    return one.due_s - time.time()


async def test_a_worker_waits_as_long_as_the_archive_tells_it_to(lab: Lab, archive: ArchiveSimulator) -> None:
    archive.fail("status", path="/files/", status=429, retry_after_s=4)

    operation = await lab.ask("Sum", frames("frame1"))
    wait_s = await until_delayed(lab, operation)
    asked = archive.asked["files"]

    assert 3 < wait_s <= 4
    assert (await lab.ended(operation)).state is State.COMPLETED
    assert archive.asked["files"] == asked + 1


async def test_a_file_that_does_not_go_on_coming_is_asked_for_again(
    platform: Platform, archive: ArchiveSimulator
) -> None:
    archive.fail("hang", path="/files/")
    async with running_lab(platform, archive, archive_patience=timedelta(seconds=0.3)) as lab:
        operation = await lab.ask("Sum", frames("frame1"))

        assert (await lab.ended(operation)).state is State.COMPLETED
        assert (await lab.computations.load(operation.key)).body.delays == 1


async def test_an_archive_that_is_slow_is_waited_for(platform: Platform, archive: ArchiveSimulator) -> None:
    archive.fail("delay", seconds=0.4, times=None)
    async with running_lab(platform, archive, archive_patience=timedelta(seconds=2)) as lab:
        operation = await lab.ask("Sum", frames("frame1"))

        assert (await lab.ended(operation)).state is State.COMPLETED
        assert (await lab.computations.load(operation.key)).body.delays == 0


async def test_an_archive_that_takes_no_token_any_more_while_fetching_is_told(
    lab: Lab, archive: ArchiveSimulator
) -> None:
    archive.fail("status", path="/files/", status=401, times=None)

    shown = await lab.ended(await lab.ask("Sum", frames("hers"), ALICE_AT_ARCHIVE))

    assert shown.state is State.FAILED
    assert shown.message == "The archive's link to hers has lapsed; retry the operation."


async def test_neither_tokens_nor_links_are_logged(
    lab: Lab, archive: ArchiveSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("reset", "damaged", "cut"):
        archive.fail(kind, path="/files/")
    operation = await lab.ask("Sum", frames("hers", "frame1"), ALICE_AT_ARCHIVE)

    shown = await lab.ended(operation, within_s=60)

    logged = "".join(capsys.readouterr())
    assert "computation.delayed" in logged
    assert "computation.ended" in logged
    told = str(shown) + "".join(event.to_bytes().decode() for event in await lab.told())
    assert "alices-token" not in logged + told
    assert "signature=" not in logged


@pytest.mark.parametrize("how", ["abort", pytest.param("segfault", marks=pytest.mark.long)])
async def test_a_library_that_ends_its_process_costs_a_retry(lab: Lab, tmp_path: Path, how: str) -> None:
    (tmp_path / "marks").mkdir()

    operation = await lab.ask("Trouble", {"how": how, "marks": str(tmp_path / "marks"), "times": 1})

    shown = await lab.ended(operation)
    assert shown.state is State.COMPLETED
    assert shown.output is not None
    assert shown.output["output_data"] == [{"runs": 2}]


@pytest.mark.long
@pytest.mark.parametrize("when", ["fetching", "storing"])
async def test_an_object_store_that_goes_away_is_waited_for(
    tmp_path: Path, archive: ArchiveSimulator, s3: S3Server, when: str
) -> None:
    async with gate_to(urlsplit(s3.endpoint_url).port or 0) as gate:
        settings: dict[str, Any] = {
            "objects": f"s3://{s3.new_bucket()}/flightline",
            "s3_endpoint": f"http://127.0.0.1:{gate.port}",
            "s3_access_key": ACCESS_KEY,
            "s3_secret_key": SECRET_KEY,
            "s3_region": REGION,
            "retry_ladder": (timedelta(seconds=1),) * 30,
        }
        async with opened(tmp_path / "home", **settings) as platform, running_lab(platform, archive) as lab:
            first = await lab.ended(await lab.ask("Sum", frames("frame1")))
            assert first.output is not None
            given = {"input_files": [first.output["output_files"][0]]}
            inputs = given if when == "fetching" else frames("frame2") | {"take_s": 2.0}
            if when == "fetching":
                gate.close()
            operation = await lab.ask("Sum", inputs)
            await lab.until(operation, State.IN_PROGRESS)
            gate.close()
            await until_delayed(lab, operation)
            gate.is_open = True

            assert (await lab.ended(operation, within_s=90)).state is State.COMPLETED
            assert len(await lab.stored(operation)) == 1
