"""What the routes stand on, and what they ask of every request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from odm_gateway.adapters.console_log import ConsoleLog
from odm_gateway.domain.callers import Caller, Keyring
from odm_gateway.domain.identity import task_key
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Task
from odm_gateway.wire.answers import RefusedError
from odm_gateway.wire.host import HostFacts
from shared.objects.port import ObjectStore
from shared.state import Collection


@dataclass(frozen=True, slots=True)
class Node:
    """What the routes stand on."""

    tasks: Collection[Task]
    console: ConsoleLog
    objects: ObjectStore
    options: OptionTable
    keyring: Keyring
    host: HostFacts
    engine: str
    engine_version: str
    tasks_at_once: int
    max_images: int | None
    wake: Callable[[], None]

    async def task(self, uuid: str, caller: Caller) -> Task:
        """Return a task that ``caller`` can see, by its id or its workflow's name.

        Raises:
            RefusedError: There is none.
        """
        document = await self.tasks.get(task_key(uuid))
        if document is None or document.body.removing or not caller.sees(document.body.tenant):
            raise RefusedError(f"{uuid} not found")
        return document.body


async def _node(request: Request) -> Node:  # a plain function would be run in a thread
    node: Node = request.state.node
    return node


NodeHere = Annotated[Node, Depends(_node)]


async def _caller(request: Request, node: NodeHere) -> Caller:
    caller = node.keyring.caller(request.query_params.get("token", ""))
    if caller is None:
        raise RefusedError("Invalid authentication token: token does not match.")
    return caller


CallerHere = Annotated[Caller, Depends(_caller)]


async def _task(uuid: str, node: NodeHere, caller: CallerHere) -> Task:
    return await node.task(uuid, caller)


TaskHere = Annotated[Task, Depends(_task)]
