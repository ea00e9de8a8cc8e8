"""Runs no job: tells a short story and makes tiny products, for tests of the API and of its clients."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from odm_gateway.domain.assets import ARCHIVE, media_type
from odm_gateway.ports import Completed, EngineEvent, Failed, Job, Line, Progressed
from shared.objects.port import ObjectStore

STAGES = ("dataset", "opensfm", "odm_georeferencing", "odm_orthophoto", "odm_postprocess")

FAIL_WITH = "camera-lens"
"""The option by which a client asks for a failure …"""
FAILING_VALUE = "dual"
"""… and its value: nobody else would simulate such a lens."""

_TIFF = (
    b"II*\0\x08\0\0\0\x08\0"
    b"\0\x01\x03\0\x01\0\0\0\x01\0\0\0\x01\x01\x03\0\x01\0\0\0\x01\0\0\0"
    b"\x02\x01\x03\0\x01\0\0\0\x08\0\0\0\x03\x01\x03\0\x01\0\0\0\x01\0\0\0"
    b"\x06\x01\x03\0\x01\0\0\0\x01\0\0\0\x11\x01\x04\0\x01\0\0\0\x6e\0\0\0"
    b"\x16\x01\x03\0\x01\0\0\0\x01\0\0\0\x17\x01\x04\0\x01\0\0\0\x01\0\0\0"
    b"\0\0\0\0\x80"
)
"""One grey pixel (TIFF 6.0, baseline)."""


@dataclass(frozen=True, slots=True)
class SimulatedEngine:
    """An engine that makes things up; see ``odm_gateway.ports.Engine``."""

    objects: ObjectStore
    seconds: float = 0.5
    """How long a job takes."""

    @asynccontextmanager
    async def follow(self, job: Job) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Tell the story of a job from its beginning."""
        async with aclosing(self._run(job)) as events:
            yield events

    async def cancel(self, job: Job) -> None:
        """Stop the job: it goes on only while it is followed."""

    async def remove(self, job: Job) -> None:
        """Delete nothing: nothing is kept."""

    async def _run(self, job: Job) -> AsyncGenerator[EngineEvent, None]:
        for number, stage in enumerate(STAGES):
            yield Line(f"[INFO]    running {stage} stage")
            await asyncio.sleep(self.seconds / len(STAGES))
            yield Progressed(stage, 100 * (number + 1) / len(STAGES))
        if any(option.name == FAIL_WITH and option.value == FAILING_VALUE for option in job.options):
            yield Failed("Cannot process dataset")
            return
        products = _products(job)
        for path, content in products.items():
            await self.objects.put(f"{job.products}/{path}", content, content_type=media_type(path))
        yield Line("[INFO]    finished")
        yield Completed(tuple(sorted(products)), {"simulated": True})


def _products(job: Job) -> Mapping[str, bytes]:
    files = {
        "odm_orthophoto/odm_orthophoto.tif": _TIFF,
        "images.json": b"[]",
        "cameras.json": b"{}",
        "log.json": json.dumps({"success": True, "task": job.task_id}).encode(),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for path, content in files.items():
            bundle.writestr(zipfile.ZipInfo(path), content)
    return {**files, ARCHIVE: archive.getvalue()}
