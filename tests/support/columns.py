"""A column: the backends that a pipeline stands on, its command as a child process, and what lies in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import rasterio
from pydantic import BaseModel

from discovery.collections import FLIGHTS, POSTED
from discovery.domain.flights import Flight, FlightState
from flightline.pipeline import SUBSCRIPTIONS
from ingest.collections import JOURNAL, TRANSFERS
from ingest.domain.manifest import Manifest
from ingest.domain.transfers import FileRecord, FileState, Transfer, TransferState
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TASKS
from shared.messaging.port import UNROUTED_QUEUE
from shared.messaging.topology import dead_queue
from shared.platform import Platform, open_platform
from shared.settings import PlatformSettings
from shared.state import Collection, CollectionSpec
from tests.support.mongo import new_database
from tests.support.rabbitmq import RabbitMQ
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.zygote import Zygote

SHORT_LADDER = "200ms,500ms,1s,2s"
ENDS_WITHIN_S = 100.0

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Column:
    """A set of backends; each child process gets them by its environment."""

    home: Path
    backends: Mapping[str, str] = field(default_factory=dict)
    command: str = "flightline"
    own: Mapping[str, str] = field(default_factory=dict)
    """More variables, such as the settings of one service."""
    parent: Zygote | None = None
    """If there is one, ``flightline`` is run in a fork of it, where it runs to its end."""

    @property
    def settings(self) -> PlatformSettings:
        """Return the same settings as a child process has."""
        given: dict[str, Any] = dict(self.backends)
        return PlatformSettings(home=self.home, retry_ladder=SHORT_LADDER.split(","), **given)

    @property
    def environment(self) -> dict[str, str]:
        """Return what a child process sees."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLIGHTLINE_")}
        ours = {"home": str(self.home), "retry_ladder": SHORT_LADDER, **self.backends}
        return kept | {f"FLIGHTLINE_{name.upper()}": value for name, value in ours.items()} | dict(self.own)

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command in a process group of its own; what is left of it is killed behind the block."""
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(self.command)), *arguments],
            env=self.environment | environment,
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    kill(process, with_children=True)
        finally:
            process.wait()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        if self.parent:
            return self._forked(self.parent, arguments, environment)
        with self.running(*arguments, **environment) as process:
            out, said = process.communicate(timeout=ENDS_WITHIN_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, said)

    def _forked(
        self, parent: Zygote, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        with TemporaryDirectory(dir=self.home.parent) as folder:
            out, said = Path(folder, "out"), Path(folder, "said")
            command, environment = [self.command, *arguments], {**self.environment, **environment}
            child = parent.start("flightline.entry:main", command, environment, out, said)
            try:
                code = child.wait(ENDS_WITHIN_S)
            finally:
                child.close()
            return subprocess.CompletedProcess(command, code or 0, out.read_text(), said.read_text())

    def run_json(self, *arguments: str, **environment: str) -> Any:
        """Run the command with ``--json`` and return what it printed."""
        ended = self.run(*arguments, "--json", **environment)
        try:
            return json.loads(ended.stdout)
        except ValueError:
            raise AssertionError(f"exit {ended.returncode}: {ended.stdout}\n{ended.stderr}") from None


def server_backends(broker: RabbitMQ, mongo_url: str, s3: S3Server) -> dict[str, str]:
    """Return RabbitMQ, a MongoDB-compatible server and S3 as backends in which nothing lies yet."""
    vhost = f"column-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    return {
        "bus": f"{broker.url}{vhost}",
        "state": new_database(mongo_url),
        "objects": f"s3://{s3.new_bucket()}/flightline",
        "s3_endpoint": s3.endpoint_url,
        "s3_region": REGION,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY.get_secret_value(),
    }


def kill(process: subprocess.Popen[str], *, with_children: bool) -> None:
    """End a process as a power cut would; its workers too, or left to notice it by themselves."""
    try:
        children = psutil.Process(process.pid).children(recursive=True) if with_children else []
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


@dataclass(frozen=True, slots=True)
class Inventory:
    """What lies in the backends, reduced to what must not differ whatever happened on the way."""

    flights: tuple[FlightState, ...]
    transfers: tuple[TransferState, ...]
    tasks: tuple[Status, ...]
    listed: tuple[str, ...]
    """Images in the manifests; each was read and has the hash that is written there."""
    journalled: tuple[str, ...]
    dead_letters: int = 0
    unrouted: int = 0
    untold: int = 0
    """Documents with events in their outbox."""


def one_flight(*images: str) -> Inventory:
    """Return what one flight leaves behind if nothing was lost and nothing was done twice."""
    names = tuple(sorted(images))
    return Inventory(
        (FlightState.COMPLETED,), (TransferState.STAGED,), (Status.COMPLETED,), listed=names, journalled=names
    )


async def inventory(column: Column) -> Inventory:
    """Look into the backends of a column."""
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        await on.store.declare(FLIGHTS, POSTED, TRANSFERS, JOURNAL, TASKS)
        transfers = [body async for body in every(on, TRANSFERS, Transfer)]
        journal = [body async for body in every(on, JOURNAL, FileRecord)]
        depth = on.transport.depth
        outboxes = [await on.store.pending(spec.name) for spec in (FLIGHTS, POSTED, TRANSFERS, TASKS)]
        return Inventory(
            flights=tuple([flight.state async for flight in every(on, FLIGHTS, Flight)]),
            transfers=tuple(transfer.state for transfer in transfers),
            tasks=tuple(sorted([task.status async for task in every(on, TASKS, Task)])),
            listed=tuple(sorted([name for transfer in transfers for name in await _listed(on, transfer)])),
            journalled=tuple(sorted(line.path for line in journal if line.state is FileState.STAGED)),
            dead_letters=sum([await depth(dead_queue(each.queue)) for each in SUBSCRIPTIONS]),
            unrouted=await depth(UNROUTED_QUEUE),
            untold=sum(map(len, outboxes)),
        )


async def every(on: Platform, spec: CollectionSpec, model: type[M]) -> AsyncIterator[M]:
    """Iterate over all documents of a collection."""
    async for document in Collection(on.store, spec, model).each({}):
        yield document.body


async def _listed(on: Platform, transfer: Transfer) -> list[str]:
    if transfer.staged is None:
        return []
    text = await on.objects.read(on.objects.key(transfer.staged.manifest))
    manifest = Manifest.model_validate_json(text)
    for image in manifest.images:
        copy = on.settings.home / "image"
        await on.objects.download(image.key, copy)  # verifies the kept hash
        stored = await on.objects.stat(image.key)
        assert stored is not None
        assert (stored.size_bytes, stored.sha256) == (image.size_bytes, image.sha256)
        assert sha256(copy.read_bytes()).hexdigest() == image.sha256
    return [image.path for image in manifest.images]


async def broken_members(column: Column, task_id: str) -> str | None:
    """Return the first member of the task's archive that cannot be read; None: all are whole."""
    path = column.home / "all.zip"
    async with open_platform(column.settings, SUBSCRIPTIONS) as on:
        await on.objects.download(f"products/{task_id}/all.zip", path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()
        return archive.testzip()


def mapped_share(products: Path) -> float:
    """Return which share of the orthophoto's pixels shows something."""
    with rasterio.open(products / "odm_orthophoto" / "odm_orthophoto.tif") as picture:
        return float((picture.dataset_mask() > 0).mean())


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files below ``folder``."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
