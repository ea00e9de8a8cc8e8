"""The work of a transfer: files are found, then copied one by one, each with three tries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from flightline.tapis_simulator.answers import RefusedError
from flightline.tapis_simulator.asking import confined, usable
from flightline.tapis_simulator.calls import Call
from flightline.tapis_simulator.files import Entry, FileTree
from flightline.tapis_simulator.systems import StorageSystem
from flightline.tapis_simulator.tapis import Tapis
from flightline.tapis_simulator.transfers import TRIES, Element, Status, Step, Transfer

OPERATION = "transferFile"
"""Faults of kind ``status`` on this operation make tries of a child fail."""
_SCHEME = "tapis://"
_MOST_FILES = 10_000


async def carry_out(tapis: Tapis, transfer: Transfer) -> None:
    """Copy everything and note how it went."""
    transfer.status, transfer.started = "IN_PROGRESS", datetime.now(UTC)
    for element in transfer.elements:
        await _carry_out_element(tapis, transfer.owner, element)
    failed = [element for element in transfer.elements if element.status == "FAILED"]
    transfer.error = failed[0].error if failed else None
    transfer.status, transfer.ended = "FAILED" if failed else "COMPLETED", datetime.now(UTC)


async def _carry_out_element(tapis: Tapis, user: str, element: Element) -> None:
    failure: Status = "FAILED_OPT" if element.is_optional else "FAILED"
    element.begin()
    try:
        source, destination = (
            located(tapis, user, element.source_uri),
            located(tapis, user, element.destination_uri),
        )
        pairs = await asyncio.to_thread(_pairs, *source, *destination)
    except RefusedError as refusal:
        return element.end(failure, refusal.message)
    element.children = [_child(source[0], entry, destination[0], path) for entry, path in pairs]
    element.total_bytes = sum(child.total_bytes for child in element.children)
    for child, (entry, path) in zip(element.children, pairs, strict=True):
        await _copy(tapis, child, entry, destination[0].files, path)
        element.bytes_done += child.bytes_done
    failed = [child for child in element.children if child.status == "FAILED"]
    return element.end(failure, failed[0].error) if failed else element.end("COMPLETED")


def located(tapis: Tapis, user: str, uri: str) -> tuple[StorageSystem, str]:
    """Return the system and the path in a ``tapis://`` URI."""
    name, _, path = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not name:
        raise RefusedError(400, f"FILES_TXFR_BAD_URI The simulator copies from and to tapis:// alone: {uri}")
    return usable(tapis, name, user), confined(path)


def _pairs(source: StorageSystem, path: str, destination: StorageSystem, to: str) -> list[tuple[Entry, str]]:
    """Return each file and where it goes."""
    entry = source.files.stat(path)
    if entry is None:
        raise RefusedError(404, f"FILES_TXFR_NOT_FOUND Path not found. System: {source.id} Path: {path}")
    if entry.kind != "dir":
        return [(entry, to or entry.name)]
    files = list(source.files.walk(path))
    if len(files) > _MOST_FILES:
        raise RefusedError(
            400, f"FILES_TXFR_TOO_MANY More than {_MOST_FILES} files. System: {destination.id}"
        )
    return [(one, f"{to}/{one.path.removeprefix(path).strip('/')}".strip("/")) for one in files]


def _child(source: StorageSystem, entry: Entry, destination: StorageSystem, path: str) -> Step:
    step = Step(f"{_SCHEME}{source.id}/{entry.path}", f"{_SCHEME}{destination.id}/{path}")
    step.total_bytes = entry.size_bytes
    return step


async def _copy(tapis: Tapis, child: Step, entry: Entry, files: FileTree, path: str) -> None:
    child.begin()
    call = Call("COPY", OPERATION, child.source_uri, child.source_uri.split("/")[2], entry.path)
    for tries in range(1, TRIES + 1):
        child.retries = tries - 1
        await asyncio.sleep(entry.size_bytes / (tapis.pace.transfer_bytes_per_s or float("inf")))
        failing = [fault for fault in tapis.faults.strike(call) if fault.kind == "status"]
        if not failing and entry.content is not None:
            files.put(path, entry.content, entry.modified_s)
            child.bytes_done = entry.size_bytes
            return child.end("COMPLETED")
    return child.end("FAILED", f"FILES_TXFR_FAILED Gave up after {TRIES} tries. Path: {entry.path}")
