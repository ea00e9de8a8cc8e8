"""What is left of a canceled transfer, or of half a file, goes."""

from __future__ import annotations

from ingest.domain.transfers import FileRecord, FileState, Transfer, base_key, transfer_id
from ingest.resuming import forget
from shared.objects.port import ObjectStore
from shared.state import Collection

PAGE = 200


async def sweep(transfer: Transfer, objects: ObjectStore, lines: Collection[FileRecord]) -> None:
    """Delete the journal of a transfer, and then what was stored; again from anywhere."""
    base = base_key(transfer.flight)
    while page := (await lines.find({"transfer": transfer_id(transfer.flight)}, limit=PAGE)).items:
        for document in page:
            await forget(objects, document.body, f"{base}/files/{document.body.path}")
            await lines.delete(document)
    async for stored in objects.list(f"{base}/"):
        await objects.delete(stored.key)


async def forget_halves(transfer: Transfer, objects: ObjectStore, lines: Collection[FileRecord]) -> None:
    """Give up the parts of files that will not be whole, because the flight is another one now."""
    where = {"transfer": transfer_id(transfer.flight), "state": FileState.COPYING.value}
    async for document in lines.each(where):
        await forget(objects, document.body, f"{base_key(transfer.flight)}/files/{document.body.path}")
