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
from datalab.operations.registry import Registry
from datalab.ports import Operations
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
    registry: Registry
    uploads: Uploads
    waiting: Waiting
    analyses: Analyses
    links: Links

    def base_url(self, request: Request) -> str:
        """Return how the client reaches this service, without a slash at the end."""
        url = str(self.settings.public_url or request.base_url)
        return url.rstrip("/")

    async def shown(self, request: Request, found: Sequence[AskedOperation]) -> list[dict[str, Any]]:
        """Return operations as JSON, as they are now."""
        shown = await self.operations.shown(found, base_url=self.base_url(request)) if found else []
        return [operation_json(one) for one in shown]
