"""Users of Tapis, who show their access token in the place of a token of ours."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from odm_gateway.domain.callers import TAPIS, Caller
from shared.tapis.api import TapisApi
from shared.tapis.claims import TokenRefusedError
from shared.tapis.verifying import Verifier, is_jwt

KNOWN_AT_MOST = 10_000
"""Tokens that need not be verified again at every poll."""


@dataclass(slots=True)
class TapisCallers:
    """Knows the users of a tenant; each sees their own tasks."""

    verifier: Verifier
    _known: OrderedDict[bytes, tuple[float, Caller]] = field(default_factory=OrderedDict)

    async def caller(self, token: str) -> Caller | None:
        """Return whose access token this is, or None for nobody's.

        Raises:
            TransientError: The tenant's key cannot be had now.
        """
        if not is_jwt(token):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        until_s, caller = self._known.get(digest, (0.0, None))
        return caller if time.time() < until_s else await self._verified(token, digest)

    async def _verified(self, token: str, digest: bytes) -> Caller | None:
        try:
            claims = await self.verifier.claims(token)
        except TokenRefusedError:
            self._known.pop(digest, None)
            return None
        caller = Caller(f"{TAPIS}{claims.owner}")
        self._known[digest] = claims.expires_at.timestamp(), caller
        if len(self._known) > KNOWN_AT_MOST:
            self._known.popitem(last=False)
        return caller


@asynccontextmanager
async def open_tapis_callers(base_url: str, tenant: str) -> AsyncIterator[TapisCallers]:
    """Open what knows the users of a tenant."""
    api = await asyncio.to_thread(TapisApi, base_url, tenant)
    try:
        yield TapisCallers(Verifier(api))
    finally:
        api.close()
