"""Images are decoded and encoded in processes of their own.

The event loop never waits for a codec; a decoder that crashes, or that the system kills for its memory, takes
one image with it and nothing else. How much is decoded at once is bounded in bytes. Processes start with the
first image, and end when there has been none for a while, and with their parent, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self

import structlog

from scaler.codec_files import nameless_file, read_file, write_file
from scaler.domain.asks import Asks, RejectedError, Scaled
from scaler.imaging import check_size, read_header
from shared.budget import Budget
from shared.cores import cores
from shared.errors import TransientError
from shared.warm import WarmProcesses, kill, starting

log = structlog.get_logger(__name__)

PIXELS_AT_MOST: Final = 400_000_000
DECODED_BYTES: Final = 2_000_000_000
TIME_LIMIT_S: Final = 120.0
IDLE_S: Final = 60.0
NICENESS: Final = 10
"""The event loop of the service comes first."""
_LONGEST_ANSWER: Final = 1 << 20
_ENVIRONMENT: Final = {
    "OPENCV_LOG_LEVEL": "SILENT",  # what a decoder complains of is in the answer
    "OPENBLAS_NUM_THREADS": "1",  # which nobody would use
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
}
"""glibc keeps up to 512 MB for the next image: to get it anew costs up to a third of the time of one."""


class _CrashedError(Exception):
    """A worker ended, or did not answer in time."""


class Codecs:
    """Worker processes that scale images; a context manager.

    Args:
        workers: How many images are scaled at once; None: as many as there are cores.
        pixels_at_most: Limit for the source and for the scaled image, each.
        decoded_bytes: How much all images under way may take when decoded; a larger one goes alone.
        time_limit_s: How long an image may take.
        idle_s: After how long without work a process ends.
        turbo: Whether libturbojpeg is used where it is installed.
        niceness: By how much the processes leave the processor to others, as nice(1) counts.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        pixels_at_most: int = PIXELS_AT_MOST,
        decoded_bytes: int = DECODED_BYTES,
        time_limit_s: float = TIME_LIMIT_S,
        idle_s: float = IDLE_S,
        turbo: bool = True,
        niceness: int = NICENESS,
    ) -> None:
        self.slots = workers or cores()
        self._pixels_at_most, self._turbo = pixels_at_most, turbo
        self._time_limit_s, self._niceness = time_limit_s, niceness
        self._memory = Budget(decoded_bytes)
        self._free = asyncio.Semaphore(self.slots)
        self._warm = WarmProcesses(self._started, idle_s=idle_s)
        self._told_turbo = False

    async def __aenter__(self) -> Self:
        await self._warm.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._warm.__aexit__(kind, error, trace)

    async def scale(self, content: bytes, asks: Asks) -> Scaled:
        """Return the image scaled.

        Raises:
            RejectedError: It cannot be scaled; ``crashed-the-decoder`` if a process ended over it twice, the
                second time with no other image under way.
            TransientError: No process can be started.
        """
        header = read_header(content)
        check_size(header, asks, pixels_at_most=self._pixels_at_most)
        try:
            return await self._scaled(content, asks, header.decoded_bytes(asks))
        except _CrashedError as error:
            log.warning("codecs.crashed", error=str(error), next="the image is tried once more, alone")
        try:
            return await self._scaled(content, asks, self._memory.size_bytes)
        except _CrashedError as error:
            raise RejectedError("crashed-the-decoder", f"the decoder failed twice: {error}") from error

    async def _scaled(self, content: bytes, asks: Asks, decoded_bytes: int) -> Scaled:
        async with self._free, self._memory.lent(decoded_bytes), self._warm.lent() as loan:
            ask = {"asks": asdict(asks), "pixels_at_most": self._pixels_at_most, "turbo": self._turbo}
            try:
                async with asyncio.timeout(self._time_limit_s):
                    scaled = await loan.process.scaled(content, ask)
            except TimeoutError as error:
                raise _CrashedError(f"it took longer than {self._time_limit_s:g} s") from error
            except RejectedError:
                loan.is_good = True
                raise
            loan.is_good = True
            return scaled

    async def _started(self) -> _Worker:
        worker = await _Worker.started(self._niceness)
        if self._turbo and not self._told_turbo:
            self._told_turbo = True
            log.info("codecs.ready", libturbojpeg=worker.has_turbo)
        return worker


@dataclass(eq=False, slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    given: int
    """A file that we write and the process reads."""
    taken: int
    has_turbo: bool = False

    @classmethod
    async def started(cls, niceness: int) -> Self:
        files: list[int] = []
        try:
            files += [nameless_file(), nameless_file()]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "scaler.codec_worker", *map(str, (os.getpid(), niceness, *files)),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_ANSWER,
                pass_fds=files, env=os.environ | _ENVIRONMENT,
            )  # fmt: skip
        except BaseException as error:
            _close(files)
            if isinstance(error, OSError):
                raise TransientError(f"no process for images can be started: {error}") from error
            raise
        worker = cls(process, files[0], files[1])
        try:
            async with starting(worker):
                worker.has_turbo = (await worker._answer())["turbo"]
        except (TimeoutError, _CrashedError) as error:
            raise TransientError(f"a process for images does not start: {error}") from error
        return worker

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def scaled(self, content: bytes, ask: dict[str, Any]) -> Scaled:
        stdin = self.process.stdin
        assert stdin is not None
        try:
            await _finished(write_file, self.given, content)
            stdin.write(json.dumps(ask | {"bytes": len(content)}).encode() + b"\n")
            await stdin.drain()
            answer = await self._answer()
            if "rejected" in answer:
                raise RejectedError(answer["rejected"], answer["message"])
            scaled = await _finished(read_file, self.taken, answer.pop("bytes"))
        except (OSError, EOFError) as error:
            raise _CrashedError(f"the process could not be handed the image: {error}") from error
        return Scaled(scaled, **answer | {"notes": tuple(answer["notes"])})

    async def _answer(self) -> dict[str, Any]:
        stdout = self.process.stdout
        assert stdout is not None
        line = await stdout.readline()
        if not line.endswith(b"\n"):
            code = await self.process.wait()
            raise _CrashedError(f"the process ended with {code}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """End the process, whatever it is at, and give back what it held."""
        files, self.given, self.taken = [self.given, self.taken], -1, -1
        try:
            await kill(self.process)
        finally:
            _close(files)


async def _finished(work: Callable[..., Any], *given: Any) -> Any:
    """Run ``work`` in a thread; one who is canceled waits for its end, because its file is closed then."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *given))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _close(files: list[int]) -> None:
    for file in files:
        if file >= 0:
            os.close(file)
