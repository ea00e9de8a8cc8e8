"""Operations from asking to their results."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from datalab.domain.asked import State
from datalab.domain.users import Caller
from datalab.operations.registry import registry
from shared.platform import Platform
from tests.datalab.execution.conftest import ALICE, BOB, Lab, frames, running_lab
from tests.support.archive import ArchiveSimulator
from tests.support.star_fields import star_field, write_banzai


async def test_an_operation_is_computed_stored_and_told_once(lab: Lab) -> None:
    operation = await lab.ask("Sum", frames("frame1", "frame2"))

    shown = await lab.ended(operation)

    assert (shown.state, shown.progress, shown.message) == (State.COMPLETED, 1.0, "")
    assert shown.output is not None
    (file,) = shown.output["output_files"]
    assert (file["basename"], file["source"], file["type"]) == (operation.key, "datalab", "fits")
    assert {"large_url", "small_url", "fits_url"} <= set(file)
    assert shown.output["output_data"] == [{"total": 300, "nothing": None}]
    assert await lab.stored(operation) == [b"300 0"]
    (event,) = await lab.told()
    assert (event.data.task_id, event.data.status, event.data.kind) == ("o1", "completed", "datalab")
    assert event.data.session_id == "1"
    assert sorted(event.data.assets) == [
        f"{operation.key}-large.jpg", f"{operation.key}-small.jpg", f"{operation.key}.fits",
    ]  # fmt: skip


async def test_the_same_asked_by_another_is_there_at_once(lab: Lab) -> None:
    first = await lab.ask("Sum", frames("frame1", "frame2"))
    await lab.ended(first)

    other = await lab.ask("Sum", frames("frame2", "frame1"), BOB)

    assert other.key == first.key
    assert other.state is State.COMPLETED
    assert other.output is not None
    assert {event.data.task_id for event in await lab.told(2)} == {"o1", "o2"}


async def test_a_median_of_frames_is_computed_under_the_memory_limit(
    platform: Platform, archive: ArchiveSimulator, tmp_path: Path
) -> None:
    fields = [star_field(size=64, stars=5, exposure=number) for number in range(3)]
    for number, field in enumerate(fields):
        path = write_banzai(
            tmp_path / f"{number}.fits.fz", field, compress=None, cat=False, bpm=False, err=False
        )
        archive.add(f"star{number}", path.read_bytes())
    async with running_lab(platform, archive, registry=registry(), memory_bytes=512 << 20) as lab:
        shown = await lab.ended(await lab.ask("Median", frames("star0", "star1", "star2")))

    assert (shown.state, shown.message) == (State.COMPLETED, "")
    assert shown.output is not None
    key, provenance = shown.operation.key, shown.output["provenance"]
    assert (provenance["operation"], provenance["computation"]) == ("Median", key)
    assert len(provenance["inputs"]) == 3
    assert {"python", "numpy", "astropy"} <= set(provenance["software"])
    (content,) = await lab.stored(shown.operation)
    with fits.open(io.BytesIO(content)) as found:
        expected = np.median([field.pixels for field in fields], axis=0)
        np.testing.assert_array_equal(found["SCI"].data, expected)
        assert key in str(found["SCI"].header) + str(found[0].header)


async def test_what_many_ask_for_at_once_is_computed_once(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTLINE_TEST_RUNS", str(tmp_path / "runs"))
    callers = [Caller(f"user{number}") for number in range(12)]

    asked = await asyncio.gather(
        *(lab.ask("Sum", frames("frame1", "frame2") | {"take_s": 0.3}, caller) for caller in callers)
    )

    ended = [await lab.ended(operation) for operation in asked]
    assert {shown.state for shown in ended} == {State.COMPLETED}
    assert len((tmp_path / "runs").read_text().splitlines()) == 1
    assert sorted(event.data.task_id for event in await lab.told(12)) == sorted(
        f"o{n + 1}" for n in range(12)
    )


async def test_an_operation_whose_computation_was_lost_can_be_retried(lab: Lab) -> None:
    operation = lab.new("Sum", frames("frame1")).model_copy(update={"key": "0" * 64})
    await lab.operations.insert(operation.document_id, operation)
    shown = await lab.shown(operation)
    assert (shown.state, shown.message) == (State.FAILED, "The computation was lost; retry the operation.")

    again = await lab.execution.operations.retry(operation, ALICE)

    assert (await lab.ended(again)).state is State.COMPLETED
