"""Whom the access tokens of a tenant are for, whichever key it signs with."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from shared.errors import TransientError
from shared.tapis.api import TapisApi
from shared.tapis.claims import Claims, OtherKeyError, TokenRefusedError, verify
from shared.tapis.retrying import Patience, persistently
from shared.tapis.throttle import Throttle

KEY_AGAIN_S = 60.0
"""Whoever shows forged tokens has Tapis asked for its key no more often than this."""
_DOTS_OF_A_JWT = 2


def is_jwt(token: str) -> bool:
    """Return whether a token has the three parts that Tapis tokens have."""
    return token.count(".") == _DOTS_OF_A_JWT


class Verifier:
    """Checks access tokens with the tenant's public key, which is asked for when it is first needed."""

    def __init__(self, api: TapisApi, patience: Patience | None = None) -> None:
        self._api = api
        self._patience = patience or Patience()
        self._throttle = Throttle()
        self._key: str | None = None
        self._key_lock = asyncio.Lock()
        self._key_asked_s = float("-inf")

    async def claims(self, token: str) -> Claims:
        """Return whom an access token is for.

        Raises:
            TokenRefusedError: It is none of this tenant's, or not any more.
            TransientError: The tenant's key cannot be had now.
        """
        if not is_jwt(token):
            raise TokenRefusedError("this is no Tapis token")
        key = self._key or await self._asked()
        try:
            return self._verified(token, key)
        except OtherKeyError:
            return self._verified(token, await self._asked(again=True))

    def _verified(self, token: str, key: str) -> Claims:
        return verify(token, key, self._api.tenant, self._api.base_url)

    async def _asked(self, *, again: bool = False) -> str:
        """Return the tenant's key; ``again``: it may have another one now, unless that was seen just now."""
        clock = asyncio.get_running_loop().time
        async with self._key_lock:
            if self._key is None:
                self._key = await self._told()
            elif again and clock() - self._key_asked_s >= KEY_AGAIN_S:
                self._key_asked_s = clock()
                self._key = await self._told()
            return self._key

    async def _told(self) -> str:
        where = f"tenant {self._api.tenant}"

        async def once() -> Any:
            return await self._api.call("tenants", "get_tenant", tenant_id=quote(self._api.tenant, safe=""))

        tenant = await persistently(self._patience, self._throttle, where, once)
        key = getattr(tenant, "public_key", None)
        if not isinstance(key, str):
            raise TransientError(f"{where}: Tapis tells no public key")
        return key
