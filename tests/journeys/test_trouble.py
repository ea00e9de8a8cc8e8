"""What goes wrong around a flight is said, and nothing else suffers from it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flightline.pipeline import SUBSCRIPTIONS
from odm_gateway.domain.tasks import Status
from shared.messaging.port import Message
from shared.platform import open_platform
from tests.support.bad_images import spoil
from tests.support.columns import Column, broken_members, files_below, inventory, mapped_share, one_flight
from tests.support.small_disk import CannotMountError, small_disk


@pytest.fixture
def simulated(embedded: Column) -> Column:
    """Embedded backends with an engine that makes products up, for what has nothing to do with pictures."""
    return replace(embedded, own={"ODM_GATEWAY_ENGINE": "simulate"})


def photo_names(flight: Path) -> list[str]:
    return [path.name for path in flight.glob("*.JPG")]


def test_bad_images_are_named_and_the_flight_completes(
    embedded: Column, flight: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(flight, tmp_path / "spoilt")
    bad = spoil(folder)
    result = embedded.run_json("run", str(folder), "--out", str(tmp_path / "out"))

    assert (result["status"], result["summary"]["photos_used"]) == ("completed", len(photo_names(flight)))
    assert {file["path"] for file in result["left_out"]} == bad
    assert all(file["reason"] for file in result["left_out"])


def test_a_flight_without_good_images_fails_with_a_sentence(embedded: Column, tmp_path: Path) -> None:
    (tmp_path / "flight").mkdir()
    (tmp_path / "flight" / "a.jpg").write_text("hello")
    result = embedded.run_json("run", str(tmp_path / "flight"), "--out", str(tmp_path / "out"))

    assert (result["status"], result["exit_code"]) == ("failed", 1)
    assert result["error"].startswith("none of the 1 files of flight is a usable image (a.jpg: not a JPEG")
    assert not (tmp_path / "out").exists()


def test_two_runs_of_one_folder_share_one_task(simulated: Column, flight: Path, tmp_path: Path) -> None:
    command = ("run", str(flight), "--out", str(tmp_path / "out"), "--json")
    with simulated.running(*command) as first, simulated.running(*command) as second:
        results = [json.loads(process.communicate(timeout=100)[0]) for process in (first, second)]

    assert [result["status"] for result in results] == ["completed", "completed"]
    assert results[0]["task_id"] == results[1]["task_id"]
    assert files_below(tmp_path / "out") == results[0]["products"]
    assert asyncio.run(inventory(simulated)) == one_flight(*photo_names(flight))


def test_a_second_run_does_no_work_again(simulated: Column, flight: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "out-0", tmp_path / "out-1"]
    first, second = (simulated.run_json("run", str(flight), "--out", str(out)) for out in outs)

    assert second["task_id"] == first["task_id"]
    assert files_below(outs[1]) == files_below(outs[0])
    assert asyncio.run(inventory(simulated)) == one_flight(*photo_names(flight))


def test_ctrl_c_ends_a_run_soon_and_the_next_one_goes_on(
    simulated: Column, flight: Path, tmp_path: Path
) -> None:
    command = ("run", str(flight), "--out", str(tmp_path / "out"))
    slowly = replace(simulated, own={**simulated.own, "ODM_GATEWAY_SIMULATE_SECONDS": "30"})
    with slowly.running(*command) as process:
        assert process.stderr
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    result = simulated.run_json(*command)

    assert (process.returncode, said.splitlines()[-1]) == (
        130,
        "flightline run: interrupted; the same command goes on from here",
    )
    assert result["status"] == "completed"
    assert asyncio.run(inventory(simulated)) == one_flight(*photo_names(flight))


def test_a_run_says_which_flight_goes_before_it(simulated: Column, flight: Path, tmp_path: Path) -> None:
    other = shutil.copytree(flight, tmp_path / "pasture")
    with simulated.running("run", str(flight)) as process:
        assert process.stderr
        while "staging" not in process.stderr.readline():
            pass
    ended = simulated.run("run", str(other), "--out", str(tmp_path / "out"))

    assert "first goes on: meadow, which was interrupted" in ended.stderr
    assert asyncio.run(inventory(simulated)).tasks == (Status.COMPLETED, Status.COMPLETED)


@pytest.mark.parametrize("name", ["state.db", "bus.db"])
def test_a_damaged_file_is_named_and_left_as_it_is(
    embedded: Column, flight: Path, tmp_path: Path, name: str
) -> None:
    damaged = embedded.home / name
    damaged.write_bytes(rubbish := os.urandom(20_000))
    result = embedded.run_json("run", str(flight), "--out", str(tmp_path / "out"))

    assert (result["status"], result["exit_code"]) == ("failed", 1)
    assert f"{damaged} is damaged" in result["error"]
    assert damaged.read_bytes() == rubbish


async def put_poison(column: Column) -> None:
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        for body in (b"{", b'{"type": "flight-found"}', b"\xff\xfe"):
            await on.transport.publish(Message(body, "flight-found"))


def test_poison_is_buried_with_its_reason_and_stops_nothing(
    simulated: Column, flight: Path, tmp_path: Path
) -> None:
    asyncio.run(put_poison(simulated))
    result = simulated.run_json("run", str(flight), "--out", str(tmp_path / "out"))
    listed = simulated.run("dead-letters", "list", "--json").stdout.splitlines()
    letters = [json.loads(line) for line in listed]

    assert result["status"] == "completed"
    assert sorted((letter["queue"], letter["reason"]) for letter in letters) == [
        *[("discovery.flight-found", "unreadable")] * 3,
        *[("ingest.flight-found", "unreadable")] * 3,
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of 12 MiB."""
    try:
        with small_disk(tmp_path / "disk", 12 << 20) as folder:
            yield folder
    except CannotMountError as error:
        pytest.skip(str(error))


@pytest.mark.long
def test_products_that_do_not_fit_are_said_and_come_later(
    embedded: Column, disk: Path, flight: Path, tmp_path: Path
) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (10 << 20))  # the photos fit beside it, the products do not
    column = Column(embedded.home, {"objects": f"file://{disk}/objects"})
    command = ("run", str(flight), "--out", str(tmp_path / "out"))
    full = column.run_json(*command)
    ballast.unlink()
    result = column.run_json(*command)

    assert (full["status"], "no space left" in full["error"]) == ("failed", True)
    assert result["status"] == "completed", result
    assert asyncio.run(broken_members(column, result["task_id"])) is None
    assert asyncio.run(inventory(column)).tasks == (Status.FAILED, Status.COMPLETED)


def test_photos_that_do_not_fit_are_said_while_the_run_waits(
    simulated: Column, disk: Path, flight: Path
) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * ((12 << 20) - 400_000))
    column = replace(simulated, backends={"objects": f"file://{disk}/objects"})
    with column.running("run", str(flight)) as process:
        assert process.stderr
        said = iter(process.stderr.readline, "")
        trouble = next(line for line in said if "interrupted" in line)
        ballast.unlink()
        _, rest = process.communicate(timeout=60)

    assert "staging interrupted" in trouble
    assert "no space left" in trouble
    assert process.returncode == 0, rest


def test_an_out_folder_that_is_full_is_said_and_costs_no_second_task(
    embedded: Column, disk: Path, flight: Path
) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (11 << 20))
    command = ("run", str(flight), "--out", str(disk / "out"))
    full = embedded.run_json(*command)
    ballast.unlink()
    result = embedded.run_json(*command)

    assert (full["exit_code"], "no space left" in full["error"]) == (75, True)
    assert files_below(disk / "out") == result["products"]
    assert mapped_share(disk / "out") > 0.1
    assert asyncio.run(inventory(embedded)) == one_flight(*photo_names(flight))
