"""What datalab's API is measured with: sessions whose operations have ended, and images."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import Any

import numpy as np
from astropy.io import fits

from datalab.accounts import Accounts
from datalab.clock import now_us
from datalab.collections import OPERATIONS, SESSIONS, TOKENS, USERS
from datalab.domain.asked import AskedOperation, State
from datalab.domain.sessions import DataSession
from datalab.domain.users import Token, User
from datalab.resources import COLLECTIONS
from shared.state import Collection
from shared.state.open import open_store

OF_EACH, MORE = 10, 9
"""Operations of a session, and the sessions that have as many again: 1,090 in a hundred sessions."""
AT_ONCE = 100
SKY, NOISE = 300.0, 12.0
KINDS = {"fits": ".fits", "large": "-large.jpg", "small": "-small.jpg"}


async def seeded(state: str, sessions: int) -> str:
    """Make a user with so many sessions in the store at ``state``, and return a token of theirs."""
    async with open_store(state) as store:
        await store.declare(*COLLECTIONS)
        accounts = Accounts(Collection(store, USERS, User), Collection(store, TOKENS, Token))
        await accounts.add_user("bench", None)
        kept = Collection(store, SESSIONS, DataSession)
        asked = Collection(store, OPERATIONS, AskedOperation)
        now, last = now_us(), 0
        for number in range(1, sessions + 1):
            session = DataSession(
                number=number, owner="bench", name=f"Session {number}", created_us=now,
                input_data=[_file(one) for one in range(4)], modified_us=now + number, accessed_us=now,
            )  # fmt: skip
            await kept.insert(session.document_id, session)
            count = OF_EACH * 2 if number <= MORE else OF_EACH
            made = [_operation(last + one, number, now) for one in range(1, count + 1)]
            last += count
            for start in range(0, count, AT_ONCE):
                part = made[start : start + AT_ONCE]
                await asyncio.gather(*(asked.insert(one.document_id, one) for one in part))
        return await accounts.add_token("bench")


def frame_bytes(seed: int, side: int) -> bytes:
    """Return an image of sky and noise, as the archive has them: floats, tile-compressed by Rice."""
    pixels = np.random.default_rng(seed).normal(SKY, NOISE, (side, side)).astype(np.float32)
    image = fits.CompImageHDU(pixels, name="SCI", compression_type="RICE_1", quantize_level=16)
    image.header["FILTER"] = "rp"
    written = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(written)
    return written.getvalue()


def _operation(number: int, session: int, now: int) -> AskedOperation:
    key, files = _digest(f"computation {number}"), [_file(number * 7 + one) for one in range(6)]
    return AskedOperation(
        number=number, session=session, owner="bench", name="Median", input_data={"input_files": files},
        created_us=now, key=key, state=State.COMPLETED, progress=1.0, output=_output(key, files),
        ended_us=now,
    )  # fmt: skip


def _file(number: int) -> dict[str, Any]:
    """Return a frame as the user interface sends it."""
    return {
        "type": "fitsfile",
        "source": "archive",
        "basename": f"tfn0m419-sq32-20260821-{number:04d}-e91",
        "id": 70_000_000 + number,
        "url": f"https://archive-api.lco.global/frames/{70_000_000 + number}/",
        "filter": "rp",
        "target_name": "NGC 6744",
        "observation_date": "2026-08-21T03:12:45.123000Z",
    }


def _output(key: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    stored = {
        kind: {
            "key": f"datalab/results/{key}/{key}{ending}",
            "size_bytes": 8_392_320,
            "sha256": _digest(kind + key),
        }
        for kind, ending in KINDS.items()
    }
    inputs = [f"archive:{file['basename']}:{_digest(file['basename'])[:32]}" for file in files]
    software = {"python": "3.11.9", "datalab": "0.1.0", "numpy": "2.4.6", "astropy": "8.0", "numba": "0.68"}
    return {
        "files": [{"basename": key, "type": "fits", "files": stored, "comment": "", "facts": {}}],
        "data": [],
        "provenance": {
            "operation": "Median", "version": 1, "computation": key, "inputs": inputs, "software": software,
        },
    }  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
