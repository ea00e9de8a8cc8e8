"""The observation portal: who carries a token of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.errors import TransientError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

KNOWN_FOR_S = 300.0
UNKNOWN_FOR_S = 60.0
KNOWN_AT_MOST = 4096
ANSWER_WITHIN_S = 10.0
ANSWER_AT_MOST_BYTES = 1 << 20
ASKED_AT_ONCE = 8
WAITING_AT_MOST = 64

_OK = 200
_NOBODY = (401, 403)


@dataclass(slots=True)
class Portal:
    """Asks a portal for the profile of whoever carries a token, and remembers what it said for a while."""

    url: str
    """Of its API, with a slash at the end."""
    session: ClientSession
    known_for_s: float = KNOWN_FOR_S
    unknown_for_s: float = UNKNOWN_FOR_S
    _known: OrderedDict[bytes, tuple[float, str | None]] = field(default_factory=OrderedDict)
    _asked: dict[bytes, asyncio.Task[str | None]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKED_AT_ONCE))

    async def user_name(self, token: str) -> str | None:
        """Return the name of whoever carries ``token``, or None for nobody.

        Raises:
            TransientError: The portal does not answer.
        """
        digest = hashlib.sha256(token.encode()).digest()
        until_s, name = self._known.get(digest, (0.0, None))
        if time.monotonic() < until_s:
            self._known.move_to_end(digest)
            return name
        return await self._ask_once(digest, token)

    async def _ask_once(self, digest: bytes, token: str) -> str | None:
        """Ask, or wait for whoever asks the same already."""
        asking = self._asked.get(digest)
        if asking is None:
            if len(self._asked) >= WAITING_AT_MOST:
                raise TransientError("Too many tokens are being looked up at the portal.")
            asking = asyncio.create_task(self._look_up(digest, token), name="portal profile")
            self._asked[digest] = asking
        return await asyncio.shield(asking)

    async def _look_up(self, digest: bytes, token: str) -> str | None:
        try:
            async with self._slots:
                name = await self._profile(token)
            self._known[digest] = time.monotonic() + (self.known_for_s if name else self.unknown_for_s), name
            if len(self._known) > KNOWN_AT_MOST:
                self._known.popitem(last=False)
            return name
        finally:
            del self._asked[digest]

    async def _profile(self, token: str) -> str | None:
        from aiohttp import ClientError  # noqa: PLC0415 - few processes have a portal

        try:
            async with self.session.get(
                f"{self.url}profile/",
                headers={"Authorization": f"Token {token}", "Accept": "application/json"},
                allow_redirects=False,
            ) as answer:
                if answer.status in _NOBODY:
                    return None
                if answer.status != _OK:
                    raise TransientError(f"The observation portal answered {answer.status}.")
                content = await _content(answer)
        except (ClientError, TimeoutError, OSError) as error:
            raise TransientError(
                f"The observation portal cannot be reached: {type(error).__name__}"
            ) from None
        return _name(content)


async def _content(answer: ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > ANSWER_AT_MOST_BYTES:
            raise TransientError("The observation portal answered with more than a profile.")
    return bytes(content)


def _name(content: bytes) -> str:
    try:
        profile = json.loads(content)
    except ValueError:
        profile = None
    name = profile.get("username") if isinstance(profile, Mapping) else None
    if not isinstance(name, str) or not name:
        raise TransientError("The observation portal answered with no profile.")
    return name


@asynccontextmanager
async def open_portal(url: str) -> AsyncIterator[Portal]:
    """Open what asks the portal at ``url``."""
    from shared.outside import outside_session  # noqa: PLC0415 - few processes have a portal

    # The operator chose the URL, so that it may be a private one.
    async with outside_session(allow_private=True, total_s=ANSWER_WITHIN_S) as session:
        yield Portal(f"{url.rstrip('/')}/", session)
