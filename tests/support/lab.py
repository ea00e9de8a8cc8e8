"""A datalab on embedded backends, in a thread, for tests that call it over HTTP as its clients do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import httpx
from pydantic import Field

from datalab.accounts import Accounts
from datalab.collections import OPERATIONS, SESSIONS, TOKENS, USERS
from datalab.config import Settings
from datalab.domain.asked import AskedOperation
from datalab.domain.sessions import DataSession
from datalab.domain.users import Token, User
from datalab.main import create_app
from datalab.operations.operation import FileRef, Inputs, Results, Work
from datalab.operations.registry import AnyOperation, Registry
from datalab.resources import SUBSCRIPTIONS
from shared.platform import Platform, open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from shared.state import Collection

T = TypeVar("T")

CALL_WITHIN_S = 60.0


class CountInputs(Inputs):
    """Files, and a threshold."""

    input_files: tuple[FileRef, ...] = Field(
        min_length=1,
        max_length=999,
        json_schema_extra={"type": "fits", "name": "Input files", "description": "What to count."},
    )
    threshold: float = Field(default=255.0, ge=0, le=65535)


class Count:
    """Counts files."""

    name: ClassVar[str] = "Median"
    """The document's first operation."""
    description: ClassVar[str] = "Counts its files."
    category: ClassVar[str] = "data"
    version: ClassVar[int] = 1
    inputs: ClassVar[type[CountInputs]] = CountInputs

    @staticmethod
    def compute(inputs: CountInputs, work: Work) -> Results:
        """Tell how many files there are, and how large they are."""
        sizes = [work.path(ref).stat().st_size for ref in inputs.input_files]
        return Results(data=({"files": len(sizes), "bytes": sum(sizes), "threshold": inputs.threshold},))


COUNTING = Registry.of(cast("AnyOperation", Count))


@dataclass(slots=True)
class RunningLab:
    """A datalab and what is behind it."""

    url: str
    platform: Platform
    loop: asyncio.AbstractEventLoop
    accounts: Accounts
    sessions: Collection[DataSession]
    operations: Collection[AskedOperation]
    _clients: list[httpx.Client] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the service's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(CALL_WITHIN_S)

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        """Return a client that carries a token."""
        headers = {"Authorization": f"Token {token}"} if token else {}
        # Reading the system's certificates would take longer than most tests.
        client = httpx.Client(base_url=self.url, headers=headers, timeout=CALL_WITHIN_S, verify=False, **more)
        self._clients.append(client)
        return client

    def user(self, name: str | None = None, *, is_admin: bool = False) -> httpx.Client:
        """Return a client of a new user."""
        name = name or f"user{next(self._numbers)}"
        self.do(self.accounts.add_user(name, None, is_admin=is_admin))
        return self.client(self.do(self.accounts.add_token(name)))

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()


@contextmanager
def running_lab(
    home: Path,
    *,
    known: Registry | None = COUNTING,
    platform: PlatformSettings | None = None,
    **settings: Any,
) -> Iterator[RunningLab]:
    """Run datalab while the block runs.

    Args:
        home: Its data folder.
        known: Its operations; None: those that are shipped.
        platform: Its backends, where they are not those in ``home``.
        settings: Its own.
    """
    own = Settings(**{"port": 0, "workers": 0, **settings})
    started: Future[RunningLab] = Future()
    ended = threading.Event()
    on = platform or PlatformSettings(home=home)
    thread = threading.Thread(target=lambda: asyncio.run(_serve(own, on, known, started, ended)))
    thread.start()
    try:
        lab = started.result(CALL_WITHIN_S)
        try:
            yield lab
        finally:
            lab.close()
    finally:
        ended.set()
        thread.join(CALL_WITHIN_S)


async def _serve(
    own: Settings,
    on: PlatformSettings,
    known: Registry | None,
    started: Future[RunningLab],
    ended: threading.Event,
) -> None:
    try:
        async with (
            open_platform(on, SUBSCRIPTIONS) as platform,
            serving(create_app(own, platform, known), own) as url,
        ):
            store = platform.store
            accounts = Accounts(Collection(store, USERS, User), Collection(store, TOKENS, Token))
            sessions = Collection(store, SESSIONS, DataSession)
            operations = Collection(store, OPERATIONS, AskedOperation)
            loop = asyncio.get_running_loop()
            started.set_result(RunningLab(url, platform, loop, accounts, sessions, operations))
            await asyncio.to_thread(ended.wait)
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise
