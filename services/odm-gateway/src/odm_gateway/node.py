"""What the routes stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from odm_gateway.adapters.accounts import Accounts
from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.adapters.uploads import Uploads
from odm_gateway.domain.callers import Caller, Keyring
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.submodels import is_scoped_token, scoped_task
from odm_gateway.domain.tasks import Task
from odm_gateway.refusals import RefusedError
from odm_gateway.wire.host import HostFacts
from odm_gateway.wire.listing import Listing
from shared.errors import InvalidInputError
from shared.objects.port import ObjectStore
from shared.state import Collection

if TYPE_CHECKING:
    from odm_gateway.adapters.tapis_callers import TapisCallers


@dataclass(frozen=True, slots=True)
class Node:
    """What the routes stand on."""

    tasks: Collection[Task]
    console: ConsoleLog
    objects: ObjectStore
    options: OptionTable
    keyring: Keyring
    host: HostFacts
    uploads: Uploads
    engine: str
    engine_version: str
    tasks_at_once: int
    max_images: int | None
    listing: Listing
    look_for_work: Callable[[], None]
    accounts: Accounts | None = None
    """Who can log in; None: nobody."""
    tapis: TapisCallers | None = None
    """Users of Tapis; None: their tokens count for nothing."""
    public_url: str | None = None
    """Where clients reach us; None: wherever they sent their request."""
    cleanup: timedelta | None = None
    """How long after its end a task is kept; None: for ever."""
    max_open_tasks: int | None = None
    redirects: bool = False
    """Downloads are sent to the object store, where it can answer them itself."""

    def wake(self) -> None:
        """Have a change of the tasks noticed now instead of at the next look."""
        self.listing.forget()
        self.look_for_work()

    async def caller(self, token: str) -> Caller | None:
        """Return who carries ``token``, or None for nobody."""
        if key := scoped_task(token):
            return await self._running_task(key, token)
        caller = self.keyring.caller(token)
        if caller is None and self.accounts:
            caller = await self.accounts.caller(token)
        if caller is None and self.tapis:
            caller = await self.tapis.caller(token)
        return caller

    async def _running_task(self, key: str, token: str) -> Caller | None:
        """Return the task that asks for parts of itself, if it still runs."""
        task = await self._found(key)
        if task is None or not is_scoped_token(task, token):
            return None
        return Caller(task.tenant, parent=key)

    async def _found(self, key: str) -> Task | None:
        try:
            document = await self.tasks.get(key)
        except InvalidInputError:  # no document can have this name
            return None
        return document.body if document else None

    async def check_room(self, caller: Caller) -> None:
        """Let one more task in; several at the same moment may exceed the limit a little.

        Parts of a running task are always let in: it waits for them.

        Raises:
            RefusedError: There are as many unfinished ones as there may be.
        """
        if self.max_open_tasks is None or caller.parent:
            return
        count = await self.host.count_open()
        if count >= self.max_open_tasks:
            raise RefusedError(f"This node has {count} unfinished tasks and takes no more for now.")

    async def task(self, uuid: str, caller: Caller) -> Task:
        """Return a task that ``caller`` can see, by its id or its workflow's name.

        Raises:
            RefusedError: There is none.
        """
        task = await self._found(task_key(uuid))
        if task is None or task.removing or not caller.sees(task.tenant, task.parent):
            raise RefusedError(f"{uuid} not found")
        return task
