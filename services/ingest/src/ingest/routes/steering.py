"""Pause, resume, cancel and retry transfers; each may be sent again, and changes nothing then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Depends

from ingest.domain.transfers import Transfer, paused, resumed, retried
from ingest.routes.seeing import Transfers, TransferView, Wake, view
from ingest.telling import canceled
from shared.service.access import authorised
from shared.state import Change, Collection, if_changed

router = APIRouter(dependencies=[Depends(authorised)])

Steer = Callable[[Transfer], Change[Transfer] | Transfer]


@router.post("/api/transfers/{transfer}/pause", summary="Stop copying until it is resumed")
async def pause(transfer: str, transfers: Transfers) -> TransferView:
    """Keep what was copied; a file that is on its way is copied again, or goes on in its parts."""
    return await _steered(transfer, transfers, lambda body: paused(body, datetime.now(UTC)))


@router.post("/api/transfers/{transfer}/resume", summary="Go on with a paused transfer")
async def resume(transfer: str, transfers: Transfers, wake: Wake) -> TransferView:
    """Go on where it was."""
    now = datetime.now(UTC)
    seen = await _steered(transfer, transfers, lambda body: resumed(body, now))
    wake()
    return seen


@router.post("/api/transfers/{transfer}/cancel", summary="Give a transfer up, and delete what it staged")
async def cancel(transfer: str, transfers: Transfers, wake: Wake) -> TransferView:
    """Tell everybody who asked, and free the space."""
    seen = await _steered(transfer, transfers, canceled)
    wake()
    return seen


@router.post("/api/transfers/{transfer}/retry-failed", summary="Try at once what failed, or waits")
async def retry_failed(transfer: str, transfers: Transfers, wake: Wake) -> TransferView:
    """Files that are staged stay; a transfer that waits for its next attempt makes it now."""
    now = datetime.now(UTC)
    seen = await _steered(transfer, transfers, lambda body: retried(body, now))
    wake()
    return seen


async def _steered(transfer: str, transfers: Collection[Transfer], steer: Steer) -> TransferView:
    return view(await transfers.update(transfer, if_changed(steer)))
