"""Stores what a job made; ``result.json`` comes last, so that it speaks of what is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from odm_gateway.domain.assets import media_type
from odm_gateway.domain.job_manifest import JobResult, failure_key, result_key
from odm_gateway.domain.outputs import missing_products, single_assets
from odm_gateway.runner.workspace import Workspace
from odm_gateway.steps.opening import Step
from odm_gateway.steps.ship import Shipment
from shared.errors import PermanentError

FILES_AT_ONCE = 4

log = structlog.get_logger()


async def publish(step: Step) -> None:
    """Store the archive and the single assets, then the result.

    Raises:
        PermanentError: What the job had to make is missing.
        TransientError: The object store cannot be reached, or is full.
    """
    made = await asyncio.to_thread(_made, step.workspace)
    if missing := missing_products(made, step.job.options, step.job.outputs):
        raise PermanentError(missing)
    assets = single_assets(made)
    slots = asyncio.Semaphore(FILES_AT_ONCE)
    try:
        async with asyncio.TaskGroup() as group:
            for asset in assets:
                group.create_task(_store(step, asset, slots))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    await Shipment(step).ship()  # a sidecar that was killed may have left something
    await step.objects.delete(failure_key(step.job.job))
    result = JobResult(assets=assets, summary=await asyncio.to_thread(_summary, step.workspace))
    await step.objects.put(
        result_key(step.job.job), result.model_dump_json().encode(), content_type="application/json"
    )
    log.info("products.stored", count=len(assets))


async def _store(step: Step, asset: str, slots: asyncio.Semaphore) -> None:
    async with slots:
        path = step.workspace.project / asset
        if step.workspace.folder not in path.resolve().parents or not path.is_file():
            raise PermanentError(f"{asset} was promised, but is not there.")
        key = f"{step.job.products}/{asset}"
        stored = await step.objects.stat(key)
        is_likely = stored is not None and stored.sha256 and stored.size_bytes == path.stat().st_size
        if stored and is_likely and stored.sha256 == await asyncio.to_thread(_sha256, path):
            return  # an interrupted attempt got that far
        await step.objects.put(key, path, content_type=media_type(asset))


def _made(workspace: Workspace) -> list[str]:
    try:
        return [str(path) for path in json.loads(workspace.assets.read_bytes())]
    except (OSError, ValueError) as error:
        raise PermanentError(f"There is no list of products: {error}") from error


def _summary(workspace: Workspace) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError):
        return {"peak_memory_bytes": json.loads(workspace.status.read_bytes())["peak_memory_bytes"]}
    return {}


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
