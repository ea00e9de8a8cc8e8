"""A job as a cluster runs it: every step a process of its own, on one workspace and one object store."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odm_gateway.domain.job_manifest import JobManifest, ShippedChunk, console_prefix, job_file_key
from odm_gateway.runner.__main__ import pack
from shared.events import Option
from shared.objects.port import ObjectStore
from tests.odm_gateway.runner.workspaces import Running
from tests.support.gateway import JPEG
from tests.support.until import wait_until
from tests.support.zygote import Child, Zygote

NAME = "odm-pipeline-t"
PRODUCTS = "products/t"
PREFIX = "staging/flight"


@dataclass(frozen=True)
class Steps:
    """Starts steps, each a process of its own that writes a log of its own."""

    parent: Zygote
    logs: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def started(self, environment: Mapping[str, str], *arguments: str) -> Iterator[Child]:
        """Have a step that does not outlive the block."""
        child = self.parent.start(
            "odm_gateway.steps.__main__:main",
            ["steps", *arguments],
            {**os.environ, **environment},
            self.logs / str(next(self.numbers)),
        )
        try:
            yield child
        finally:
            child.close()


@dataclass(frozen=True)
class ClusterJob:
    """One job."""

    steps: Steps
    objects: ObjectStore
    odm: Running
    environment: Mapping[str, str]

    async def submit(self, *, outputs: tuple[str, ...] = (), **options: Any) -> None:
        """Do what the gateway does before it makes a workflow."""
        for number in range(3):
            await self.objects.put(f"{PREFIX}/DJI_{number:04}.JPG", JPEG + bytes([number]))
        await self.objects.put(f"{PREFIX}/geo.txt", b"EPSG:4326\n")
        named = tuple(Option(name=name.replace("_", "-"), value=value) for name, value in options.items())
        job = JobManifest(
            job=NAME, task_id="t", images_prefix=PREFIX, products=PRODUCTS, options=named, outputs=outputs
        )
        await self.objects.put(job_file_key(NAME), job.model_dump_json().encode())

    def started(self, step: str, *more: str) -> AbstractContextManager[Child]:
        """Have a step that does not outlive the block."""
        manifest = self.objects.uri(job_file_key(NAME))
        return self.steps.started(
            self.environment, step, "--manifest", manifest, "--workspace", str(self.odm.folder), *more
        )

    def run(self, step: str, *more: str) -> tuple[int | None, str]:
        """Run a step to its end; return the exit code and what it said."""
        with self.started(step, *more) as child:
            return child.wait(90), child.told()

    def kill_at(self, step: str, moment: Callable[[], Any]) -> None:
        """Kill a step at some moment, or let it end before."""
        with self.started(step) as child:
            wait_until(lambda: moment() or child.is_over())

    @contextmanager
    def shipping(self, every_s: float = 0.1, linger_s: float = 13) -> Iterator[Child]:
        """Have a sidecar, stopped at the end as Argo stops it."""
        with self.started("ship", "--every", str(every_s), "--linger", str(linger_s)) as child:
            try:
                yield child
            finally:
                child.end()

    def pod(self, behaviour: str) -> int:
        """Run ODM with its init container and its sidecar; return its container's exit code."""
        command = [sys.executable, "-m", "odm_gateway.runner", str(self.odm.runner.parent)]
        subprocess.run([*command, "--begin", str(self.odm.folder)], check=True)
        with self.shipping():
            return self.odm.run(behaviour)[0]

    async def told(self, name: str) -> Any:
        """Return a JSON object of the job, or None."""
        key = f"jobs/{NAME}/{name}"
        return json.loads(await self.objects.read(key)) if await self.objects.stat(key) else None

    async def chunks(self) -> list[ShippedChunk]:
        """Return the console as it was shipped."""
        keys = [stored.key async for stored in self.objects.list(console_prefix(NAME))]
        assert keys == [f"{console_prefix(NAME)}{number:08}.json" for number in range(len(keys))]
        return [ShippedChunk.model_validate_json(await self.objects.read(key)) for key in keys]

    async def console(self) -> list[str]:
        """Return the shipped lines, having checked that none is missing or doubled."""
        lines: list[str] = []
        for chunk in await self.chunks():
            assert chunk.first_line == len(lines)
            lines += chunk.lines
        return lines


def cluster_job(
    steps: Steps, objects: ObjectStore, url: str, folder: Path, environment: Mapping[str, str] | None = None
) -> ClusterJob:
    """Return a job on an empty workspace below ``folder``."""
    workspace = folder.resolve() / "workspace"
    workspace.mkdir(parents=True)
    named = {"FLIGHTLINE_OBJECTS": url, **(environment or {})}
    return ClusterJob(steps, objects, Running(workspace, pack(folder / "runner")), named)
