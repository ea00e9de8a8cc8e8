import asyncio
import signal

from odm_gateway.domain.job_manifest import JobFailure, console_key, failure_key
from odm_gateway.steps.ship import LINES_AT_MOST
from tests.odm_gateway.steps.cluster_job import NAME, ClusterJob
from tests.support.s3 import S3Server


def write(job: ClusterJob, text: str) -> None:
    with (job.odm.folder / "console.log").open("a") as console:
        console.write(text)


async def first_chunk(job: ClusterJob) -> None:
    async with asyncio.timeout(60):
        while not await job.objects.stat(console_key(NAME, 0)):
            await asyncio.sleep(0.05)


async def test_long_consoles_go_in_chunks(job: ClusterJob) -> None:
    await job.submit()
    lines = [f"line {number}" for number in range(3 * LINES_AT_MOST + 7)]
    write(job, "\n".join(lines) + "\n")
    (job.odm.folder / "status.json").write_text('{"finished": true, "exit_code": 0}')
    assert job.run("ship", "--every", "0.1")[0] == 0
    assert await job.console() == lines
    assert [len(chunk.lines) for chunk in await job.chunks()] == [500, 500, 500, 7]


async def test_a_half_written_line_waits_for_its_end(job: ClusterJob) -> None:
    await job.submit()
    write(job, "first\nsec")
    with job.shipping() as ship:
        await first_chunk(job)
        assert await job.console() == ["first"]
        write(job, "ond\n")
        (job.odm.folder / "status.json").write_text('{"finished": true, "exit_code": 0}')
        assert ship.wait(30) == 0
    assert await job.console() == ["first", "second"]


async def test_progress_is_told_without_lines_and_only_if_it_is_news(job: ClusterJob) -> None:
    await job.submit()
    (job.odm.folder / "status.json").write_text('{"percent": 12.5, "stage": "opensfm"}')
    with job.shipping(0.05, linger_s=0.5):
        await first_chunk(job)
        await asyncio.sleep(0.5)
    assert [(chunk.percent, chunk.stage, chunk.lines) for chunk in await job.chunks()] == [
        (12.5, "opensfm", ())
    ]


async def test_on_a_sigterm_the_runners_last_words_are_waited_for(job: ClusterJob) -> None:
    await job.submit()
    with job.started("ship", "--every", "60") as ship:
        await asyncio.sleep(1.5)
        ship.signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        write(job, "last words\n")
        (job.odm.folder / "status.json").write_text('{"finished": false, "exit_code": 143}')
        assert ship.wait() == 0
    assert await job.console() == ["last words"]


async def test_an_old_failure_is_forgotten_when_the_next_run_is_stopped(job: ClusterJob) -> None:
    await job.submit()
    failure = JobFailure(exit_code=137, message="Not enough memory")
    await job.objects.put(failure_key(NAME), failure.model_dump_json().encode())
    (job.odm.folder / "status.json").write_text('{"finished": false, "exit_code": 143}')
    with job.shipping():
        await asyncio.sleep(1)
    assert await job.told("failure.json") is None


async def test_a_console_cannot_fail_a_job(job: ClusterJob, s3: S3Server) -> None:
    environment = {
        "FLIGHTLINE_OBJECTS": "s3://no-such-bucket", "FLIGHTLINE_S3_ENDPOINT": s3.endpoint_url,
        "FLIGHTLINE_S3_ACCESS_KEY": "a", "FLIGHTLINE_S3_SECRET_KEY": "b",
    }  # fmt: skip
    away = ClusterJob(job.steps, job.objects, job.odm, environment)
    with away.started("ship", "--every", "0.1", "--manifest", "jobs/x/job.json") as ship:
        await asyncio.sleep(2)
        assert not ship.is_over()
        ship.signal(signal.SIGTERM)
        assert ship.wait() == 0
