"""Processes are lent for one job after the other, and end when nobody wants them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psutil
import pytest

from shared.warm import WarmProcesses, kill
from tests.support.until import until


@dataclass
class Cat:
    """A process that says what it is told."""

    process: asyncio.subprocess.Process

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def said(self, line: bytes) -> bytes:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line)
        await stdin.drain()
        return await stdout.readline()

    async def end(self) -> None:
        await kill(self.process)


async def started() -> Cat:
    pipe = asyncio.subprocess.PIPE
    return Cat(await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe))


def cats() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [one for one in children if one.status() != psutil.STATUS_ZOMBIE and one.name() == "cat"]


async def worked(warm: WarmProcesses[Cat], *, is_good: bool = True) -> int:
    async with warm.lent() as loan:
        assert await loan.process.said(b"a\n") == b"a\n"
        loan.is_good = is_good
        return loan.process.process.pid


async def test_a_good_process_gets_the_next_job_and_another_ends() -> None:
    async with WarmProcesses(started, idle_s=60) as warm:
        assert cats() == []
        first = await worked(warm)
        assert await worked(warm, is_good=False) == first
        assert cats() == []
        assert await worked(warm) != first
        assert len(cats()) == 1
    assert cats() == []


async def test_a_process_whose_work_was_broken_off_ends() -> None:
    async with WarmProcesses(started, idle_s=60) as warm:
        with pytest.raises(TimeoutError):
            async with warm.lent() as loan, asyncio.timeout(0.01):
                await loan.process.said(b"no end of a line")
        assert cats() == []


async def test_a_process_that_died_in_its_sleep_gets_no_job() -> None:
    async with WarmProcesses(started, idle_s=60) as warm:
        async with warm.lent() as loan:
            loan.is_good = True
        loan.process.process.kill()
        await loan.process.process.wait()
        assert await worked(warm) != loan.process.process.pid


async def test_processes_without_work_end_and_others_start() -> None:
    async with WarmProcesses(started, idle_s=0.1) as warm:
        for _ in range(2):
            await asyncio.gather(worked(warm), worked(warm))
            assert cats()
            await until(lambda: not cats())


async def test_who_closes_while_a_process_works_leaves_none_behind() -> None:
    async with WarmProcesses(started, idle_s=60) as warm:
        working = warm.lent()
        (await working.__aenter__()).is_good = True
    await working.__aexit__(None, None, None)

    assert cats() == []
