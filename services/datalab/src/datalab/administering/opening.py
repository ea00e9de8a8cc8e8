"""The documents, opened for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from datalab.accounts import Accounts
from datalab.collections import OPERATIONS, RECIPES, SESSIONS, TOKENS, UPLOADS, USERS
from datalab.domain.asked import AskedOperation
from datalab.domain.recipes import Recipe
from datalab.domain.sessions import DataSession
from datalab.domain.uploads import Upload
from datalab.domain.users import Token, User
from shared.platform import open_object_store
from shared.settings import PlatformSettings, load
from shared.state import Collection
from shared.state.open import open_store


@dataclass(frozen=True, slots=True)
class Records:
    """What there is, without anybody who works on it."""

    accounts: Accounts
    sessions: Collection[DataSession]
    operations: Collection[AskedOperation]
    uploads: Collection[Upload]
    recipes: Collection[Recipe]
    platform: PlatformSettings

    async def remove_session(self, document_id: str) -> None:
        """Take a session away; the service deletes what is in it."""
        await self.sessions.update(document_id, lambda old: old.model_copy(update={"removing": True}))

    async def remove_uploads(self, owner: str) -> None:
        """Delete all files of a user."""
        async with open_object_store(self.platform) as objects:
            async for document in self.uploads.each({"owner": owner}):
                await objects.delete(document.body.key)
                await self.uploads.delete(document)

    async def remove_recipes(self, owner: str) -> None:
        """Delete all recipes of a user."""
        async for document in self.recipes.each({"owner": owner}):
            await self.recipes.delete(document)


@asynccontextmanager
async def opened_records() -> AsyncIterator[Records]:
    """Open the documents that ``FLIGHTLINE_STATE`` names."""
    platform = load(PlatformSettings)
    async with open_store(platform.state) as store:
        await store.declare(SESSIONS, OPERATIONS, UPLOADS, RECIPES, USERS, TOKENS)
        yield Records(
            Accounts(Collection(store, USERS, User), Collection(store, TOKENS, Token)),
            Collection(store, SESSIONS, DataSession),
            Collection(store, OPERATIONS, AskedOperation),
            Collection(store, UPLOADS, Upload),
            Collection(store, RECIPES, Recipe),
            platform,
        )
