"""Images are scaled in processes of their own, which crash, hang and end and take nothing with them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from scaler.codecs import Codecs
from scaler.domain.asks import Asks, Interpolation, RejectedError
from shared.errors import TransientError
from tests.scaler.imaging.pictures import jpeg, picture, png, scaled
from tests.support.until import until

PHOTO = jpeg(picture(800, 600))
LARGE = jpeg(picture(1200, 900))
SLOW = Asks(8, Interpolation.LANCZOS4)


@pytest.fixture
async def codecs() -> AsyncIterator[Codecs]:
    async with Codecs(2, niceness=0) as one:  # for other tests that run beside
        yield one


def workers() -> list[psutil.Process]:
    """Return the processes that live; one that ended and is not waited for yet does not."""
    found = []
    for one in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "scaler.codec_worker" in " ".join(one.cmdline()):
                found.append(one)
    return found


def _memory_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


async def working() -> psutil.Process:
    """Return a worker that is at a large image: one that has none takes 55 MB, this one 170 MB in the end."""
    found: list[psutil.Process] = []

    def has_begun() -> bool:
        found[:] = [one for one in workers() if _memory_bytes(one) > 80_000_000]
        return bool(found)

    await until(has_begun)
    return found[0]


async def test_results_are_those_of_the_same_process_and_nothing_starts_before_the_first(
    codecs: Codecs,
) -> None:
    assert workers() == []

    results = await asyncio.gather(*(codecs.scale(PHOTO, Asks(2)) for _ in range(6)))

    assert {one.content for one in results} == {scaled(PHOTO, turbo=True).content}
    assert len(workers()) == 2
    assert {one.nice() for one in workers()} == {os.nice(0)}


async def test_processes_leave_the_processor_to_the_service() -> None:
    async with Codecs(1) as codecs:
        await codecs.scale(jpeg(), Asks())

        assert [one.nice() for one in workers()] == [min(os.nice(0) + 10, 19)]


async def test_a_rejection_comes_back_with_its_code_and_the_process_goes_on(codecs: Codecs) -> None:
    await codecs.scale(PHOTO, Asks())
    before = workers()

    for content, code in [
        (PHOTO[:-9], "truncated"),
        (b"", "zero-bytes"),
        (png((9, 9), (8, 2), b""), "corrupt"),
    ]:
        with pytest.raises(RejectedError) as error:
            await codecs.scale(content, Asks())
        assert error.value.code == code

    assert workers() == before


@pytest.mark.long  # the other one does it by the way
async def test_an_image_is_tried_once_more_when_its_process_dies(codecs: Codecs) -> None:
    scaling = asyncio.create_task(codecs.scale(LARGE, SLOW))
    (await working()).kill()

    assert (await scaling).width == 9600


async def test_an_image_over_which_processes_die_twice_is_rejected(codecs: Codecs) -> None:
    scaling = asyncio.create_task(codecs.scale(LARGE, SLOW))
    killed = await working()
    killed.kill()
    await until(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
    (await working()).kill()

    with pytest.raises(RejectedError) as error:
        await scaling

    assert error.value.code == "crashed-the-decoder"
    assert (await codecs.scale(PHOTO, Asks())).width == 1600


async def test_an_image_that_takes_too_long_is_rejected() -> None:
    async with Codecs(1, niceness=0, time_limit_s=0.05) as codecs:
        with pytest.raises(RejectedError, match=r"longer than 0\.05 s") as error:
            await codecs.scale(LARGE, SLOW)

    assert error.value.code == "crashed-the-decoder"
    assert workers() == []


async def test_one_who_gives_up_leaves_no_process_behind_and_takes_no_place(codecs: Codecs) -> None:
    scaling = asyncio.create_task(codecs.scale(LARGE, SLOW))
    await working()
    scaling.cancel()
    await asyncio.wait([scaling])
    await until(lambda: not workers())

    results = await asyncio.gather(*(codecs.scale(PHOTO, Asks()) for _ in range(4)))
    assert {one.width for one in results} == {1600}


async def test_no_more_is_decoded_at_once_than_there_is_memory_for() -> None:
    async with Codecs(2, niceness=0, decoded_bytes=1) as codecs:
        results = await asyncio.gather(*(codecs.scale(PHOTO, Asks()) for _ in range(4)))

        assert len(results) == 4
        assert len(workers()) == 1


async def test_idle_processes_end_and_start_again() -> None:
    async with Codecs(1, niceness=0, idle_s=0.2) as codecs:
        await codecs.scale(PHOTO, Asks())
        assert len(workers()) == 1

        await until(lambda: not workers())

        assert (await codecs.scale(PHOTO, Asks())).width == 1600
    assert workers() == []


async def test_memory_of_images_is_given_back(codecs: Codecs) -> None:
    for _ in range(3):
        await codecs.scale(PHOTO, Asks())

    files = [one for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    held = [one.stat().st_size for one in files if "memfd:scaler" in str(one.readlink())]
    assert held
    assert sum(held) == 0


PARENT = """
import asyncio, sys
from scaler.codecs import Codecs
from scaler.domain.asks import Asks
async def main():
    async with Codecs(1, niceness=0) as codecs:
        content = open(sys.argv[1], "rb").read()
        await codecs.scale(content, Asks())
        print("started", flush=True)
        await asyncio.gather(*(codecs.scale(content, Asks(8, "lanczos4")) for _ in range(9)))
asyncio.run(main())
"""


async def _up_to(lines: asyncio.StreamReader, last: bytes) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line
        if line == last:
            return


async def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(LARGE)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path / "photo.jpg"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert [line async for line in _up_to(parent.stdout, b"started\n")]
    children = psutil.Process(parent.pid).children()
    assert len(children) == 1

    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()

    await until(
        lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children)
    )


def test_a_service_that_only_hands_images_on_loads_no_codec() -> None:
    told = "import scaler.codecs, sys; print([n for n in ('cv2', 'numpy', 'simplejpeg') if n in sys.modules])"

    found = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)

    assert found.stdout == "[]\n"


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
async def test_that_no_process_starts_is_the_machines_trouble_and_not_the_images(
    codecs: Codecs, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(TransientError, match="process"):
        await codecs.scale(PHOTO, Asks())
    monkeypatch.undo()

    assert (await codecs.scale(PHOTO, Asks())).width == 1600
