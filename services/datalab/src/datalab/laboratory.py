"""What routes work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from datalab.accounts import Accounts
from datalab.analysis.asking import Analyses
from datalab.config import Settings
from datalab.domain.asked import AskedOperation
from datalab.doorkeeper import Doorkeeper
from datalab.execution.links import Links
from datalab.large_data import with_data
from datalab.listing import Listed, Listing
from datalab.operations.registry import Registry
from datalab.ports import Operations
from datalab.recipes.applying import Applying
from datalab.recipes.keeping import Recipes
from datalab.removals import Removals
from datalab.sessions import Sessions
from datalab.uploads import Uploads
from datalab.waiting import Waiting
from datalab.wire.views import operation_json


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Everything that there is, and where it can be reached."""

    settings: Settings
    accounts: Accounts
    doorkeeper: Doorkeeper
    sessions: Sessions
    removals: Removals
    operations: Operations
    listing: Listing
    registry: Registry
    uploads: Uploads
    waiting: Waiting
    analyses: Analyses
    links: Links
    recipes: Recipes
    applying: Applying

    def base_url(self, request: Request) -> str:
        """Return how the client reaches this service, without a slash at the end."""
        url = str(self.settings.public_url or request.base_url)
        return url.rstrip("/")

    async def shown(self, request: Request, found: Sequence[AskedOperation]) -> list[dict[str, Any]]:
        """Return operations as JSON, as they are now."""
        shown = await self.operations.shown(found, base_url=self.base_url(request)) if found else []
        return [operation_json(one) for one in await with_data(self.links.objects, shown)]

    async def wholly(self, request: Request, listed: Sequence[Listed]) -> list[Any]:
        """Return operations of a list as parts of an answer, with their data wherever those are kept."""
        documents = [await self.sessions.asked.get(one.document_id) for one in listed if not one.is_whole]
        found = [document.body for document in documents if document]
        ids = [one.document_id for one in found]
        whole = dict(zip(ids, await self.shown(request, found), strict=True))
        return [whole.get(one.document_id, one.view) for one in listed]
