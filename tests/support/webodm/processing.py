"""What WebODM does by itself: tasks go on, results are fetched."""

from __future__ import annotations

import asyncio
import json
import shutil
import zipfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from tests.support.webodm.records import (
    CANCEL,
    CANCELED,
    COMPLETED,
    FAILED,
    IMPORT,
    QUEUED,
    REMOVE,
    RESTART,
    RUNNING,
    Library,
    Task,
)

ASSETS = {
    "orthophoto.tif": "odm_orthophoto/odm_orthophoto.tif",
    "dsm.tif": "odm_dem/dsm.tif",
    "dtm.tif": "odm_dem/dtm.tif",
    "georeferenced_model.laz": "odm_georeferencing/odm_georeferenced_model.laz",
    "report.pdf": "odm_report/report.pdf",
}
"""What can be downloaded, and where it lies in the ZIP of all."""


@dataclass
class Processing:
    """The worker behind the API."""

    library: Library
    has_node: bool = True
    """Without a node committed tasks wait, without a status."""
    fails_with: str = ""
    step_s: float = 0.02
    fetch_within_s: float = 10.0
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def close(self) -> None:
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def process(self, task: Task) -> None:
        """Do what a task waits for, soon."""
        if task.pending_action is not None:
            self._start(self._acted(task, task.pending_action))
        elif self.has_node and task.status is None:
            self._start(self._processed(task))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _acted(self, task: Task, action: int) -> None:
        await asyncio.sleep(self.step_s)
        if action == IMPORT:
            await self._imported(task)
        elif action == REMOVE:
            self.library.remove_task(task)
        elif action == CANCEL:
            task.status = CANCELED
        elif action == RESTART:
            task.status, task.last_error, task.running_progress, task.console = None, None, 0.0, []
        task.pending_action = None
        if action == RESTART:
            self.process(task)

    async def _processed(self, task: Task) -> None:
        task.upload_progress = 1.0
        for status, progress in ((QUEUED, 0.0), (RUNNING, 0.3), (RUNNING, 0.9)):
            task.status, task.running_progress = status, progress
            task.console.append(f"at {progress:.0%}")
            await asyncio.sleep(self.step_s)
            if task.status == CANCELED or task.pending_action is not None:
                return
        if self.fails_with:
            task.status, task.last_error = FAILED, self.fails_with
            return
        task.assets.mkdir(exist_ok=True)
        with zipfile.ZipFile(task.assets / "all.zip", "w") as archive:
            archive.writestr(ASSETS["orthophoto.tif"], json.dumps(sorted(task.images())))
        self._complete(task)

    async def _imported(self, task: Task) -> None:
        task.console.append("Importing assets...")
        try:
            if task.import_url != "file://all.zip":
                await self._fetch(task)
            self._complete(task)
        except zipfile.BadZipFile:
            task.status, task.last_error = FAILED, "Invalid zip file"
        except (aiohttp.ClientError, OSError):
            url = URL(task.import_url)
            task.status = FAILED
            task.last_error = (
                f"HTTPConnectionPool(host='{url.host}', port={url.port}):"
                f" Max retries exceeded with url: {url.raw_path_qs}"
            )

    async def _fetch(self, task: Task) -> None:
        """Fetch the ZIP; WebODM does not look at the status, so an error page is an invalid ZIP file."""
        timeout = aiohttp.ClientTimeout(total=self.fetch_within_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(URL(task.import_url, encoded=True)) as answer,
        ):
            with (task.assets / "all.zip").open("wb") as file:
                async for chunk in answer.content.iter_chunked(1 << 16):
                    file.write(chunk)

    def _complete(self, task: Task) -> None:
        with zipfile.ZipFile(task.assets / "all.zip") as archive:
            names = set(archive.namelist())
            for asset, inside in ASSETS.items():
                if inside in names:
                    with archive.open(inside) as source, (task.assets / asset).open("wb") as target:
                        shutil.copyfileobj(source, target)
        task.available_assets = ["all.zip", *(name for name, inside in ASSETS.items() if inside in names)]
        task.status, task.running_progress = COMPLETED, 1.0
