"""The three backends that every service stands on, opened together and closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.messaging.port import Transport
from shared.objects.port import ObjectStore
from shared.state.port import Store


@dataclass(frozen=True, slots=True)
class Platform:
    """Bus, state and objects; one process needs one."""

    transport: Transport
    store: Store
    objects: ObjectStore
