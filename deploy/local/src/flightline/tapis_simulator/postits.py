"""PostIts: links that give a file to whoever has them, so often and for so long."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(slots=True)
class PostIt:
    """One link; ``allowed_uses`` below zero are unlimited."""

    system: str
    path: str
    owner: str
    allowed_uses: int
    valid: timedelta
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    times_used: int = 0
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_spent(self) -> bool:
        """Return whether the link gives nothing any longer."""
        is_used_up = 0 <= self.allowed_uses <= self.times_used
        return is_used_up or datetime.now(UTC) >= self.created + self.valid

    def document(self, base_url: str, tenant: str) -> dict[str, Any]:
        """Return the PostIt as the API tells it."""
        created = self.created.strftime(_TIME)
        return {
            "postitId": self.id,
            "systemId": self.system,
            "path": self.path,
            "owner": self.owner,
            "tenantId": tenant,
            "jwtUser": self.owner,
            "jwtTenantId": tenant,
            "allowedUses": self.allowed_uses,
            "timesUsed": self.times_used,
            "redeemUrl": f"{base_url}/v3/files/postits/redeem/{self.id}",
            "expiration": (self.created + self.valid).strftime(_TIME),
            "created": created,
            "updated": created,
        }


class PostIts(dict[str, PostIt]):
    """All links by id."""

    def make(self, system: str, path: str, owner: str, allowed_uses: int, valid_s: int) -> PostIt:
        """Make a link."""
        postit = PostIt(system, path, owner, allowed_uses, timedelta(seconds=valid_s))
        self[postit.id] = postit
        return postit

    def of(self, owner: str) -> list[PostIt]:
        """Return somebody's links."""
        return [postit for postit in self.values() if postit.owner == owner]
