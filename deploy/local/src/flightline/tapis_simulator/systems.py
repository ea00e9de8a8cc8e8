"""A storage system, who may see it and who may use it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from flightline.tapis_simulator.files import FileTree

SystemType = Literal["LINUX", "S3", "IRODS", "GLOBUS"]
DYNAMIC_USER = "${apiUserId}"
SUMMARY = (
    "id",
    "systemType",
    "owner",
    "host",
    "effectiveUserId",
    "defaultAuthnMethod",
    "canExec",
    "parentId",
)


@dataclass(slots=True)
class StorageSystem:
    """One system; what tests and users turn at run time are plain attributes.

    Attributes:
        with_credentials: Users who registered credentials; none named: all have.
        max_sessions: So many requests for files at a time; more are answered with ``busy_status``.
    """

    id: str
    owner: str
    files: FileTree = field(default_factory=FileTree)
    type: SystemType = "LINUX"
    description: str = "Project data system"
    host: str = "data.tapis.example"
    is_public: bool = False
    shared_with: frozenset[str] = frozenset()
    with_credentials: frozenset[str] | None = None
    is_enabled: bool = True
    is_deleted: bool = False
    latency_s: float = 0
    max_sessions: int | None = None
    busy_status: int = 429
    busy_retry_after_s: float | None = None
    sessions: int = 0
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def has_credentials(self, user: str) -> bool:
        """Return whether Tapis can log in to the host for ``user``."""
        return self.with_credentials is None or user in self.with_credentials

    def is_visible_to(self, user: str) -> bool:
        """Return whether ``user`` may know of the system."""
        return self.is_public or user == self.owner or user in self.shared_with

    def is_listed(self, list_type: str, user: str) -> bool:
        """Return whether a search of ``list_type`` finds the system."""
        match list_type:
            case "OWNED":
                return user == self.owner
            case "SHARED_PUBLIC":
                return self.is_public
            case _:
                return self.is_visible_to(user)

    def attributes(self, user: str, tenant: str) -> dict[str, Any]:
        """Return every attribute, as the API names them."""
        is_s3 = self.type == "S3"
        created = self.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "tenant": tenant,
            "id": self.id,
            "description": self.description,
            "systemType": self.type,
            "owner": self.owner,
            "host": self.host,
            "enabled": self.is_enabled,
            "effectiveUserId": DYNAMIC_USER,
            "defaultAuthnMethod": "ACCESS_KEY" if is_s3 else "PKI_KEYS",
            "authnCredential": None,
            "bucketName": self.id.replace(".", "-").lower() if is_s3 else None,
            "rootDir": "" if is_s3 else f"/data/projects/{self.id}",
            "port": 443 if is_s3 else 22,
            "useProxy": False,
            "proxyHost": None,
            "proxyPort": -1,
            "canExec": False,
            "tags": [],
            "notes": {},
            "parentId": None,
            "allowChildren": False,
            "isPublic": self.is_public,
            "isDynamicEffectiveUser": True,
            "sharedWithUsers": sorted(self.shared_with),
            "hasCredentials": self.has_credentials(user),
            "deleted": self.is_deleted,
            "uuid": self.uuid,
            "created": created,
            "updated": created,
        }
