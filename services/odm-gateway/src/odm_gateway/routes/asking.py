"""What the routes ask of every request: on which node, from whom, about which task."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.tasks import Task
from odm_gateway.node import Node
from odm_gateway.refusals import RefusedError


async def node_of(request: Request) -> Node:  # a plain function would be run in a thread
    """Return what the routes stand on."""
    node: Node = request.state.node
    return node


NodeHere = Annotated[Node, Depends(node_of)]


async def caller_of(request: Request, node: NodeHere) -> Caller:
    """Return who sent the request.

    Raises:
        RefusedError: Nobody whom the gateway knows.
    """
    caller = await node.caller(request.query_params.get("token", ""))
    if caller is None:
        raise RefusedError("Invalid authentication token: token does not match.")
    return caller


CallerHere = Annotated[Caller, Depends(caller_of)]


async def task_of(uuid: str, node: NodeHere, caller: CallerHere) -> Task:
    """Return the task that a path names."""
    return await node.task(uuid, caller)


TaskHere = Annotated[Task, Depends(task_of)]
