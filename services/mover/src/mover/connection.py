"""The server, kept open between runs for as long as the same one is wanted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from shared.dav import Dav, DavPlace, Habits, open_dav

NEXTCLOUD = Habits(
    honours_if_none_match=True,
    honours_if_match=True,
    honours_overwrite=True,
    hashes_content=True,
    has_tags=True,
    moves_any_name=True,
    was_tried=True,
)
"""What every Nextcloud honours, measured on one; so that no files have to be written to find it out.

Only a server that lists tags is ever asked to move anything, and that is a Nextcloud.
"""


class Connection:
    """An open server, or none."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._stack = AsyncExitStack()
        self._dav: Dav | None = None
        self._opening = asyncio.Lock()

    async def to(self, place: DavPlace) -> Dav:
        """Return the server, with its cookies from last time if it is the same one."""
        async with self._opening:
            if self._dav is None or self._dav.place != place:
                await self.close()
                opened = open_dav(place, connections=self._at_once + 1)
                self._dav = await self._stack.enter_async_context(opened)
                self._dav.habits = NEXTCLOUD
            return self._dav

    async def close(self) -> None:
        """Close what is open."""
        self._dav = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
