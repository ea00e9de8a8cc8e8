"""The routes that clients poll, as ``odm_gateway.wire.polls`` answers them."""

from __future__ import annotations

from fastapi import Request, Response

from odm_gateway.domain.callers import Caller
from odm_gateway.node import Node
from odm_gateway.routes.information import read_info
from odm_gateway.routes.tasks import list_tasks, read_output, read_task
from odm_gateway.wire.polls import Poll


async def _info(request: Request, node: Node, caller: Caller, _: str) -> Response:
    return await read_info(request, node, caller)


async def _list(_: Request, node: Node, caller: Caller, __: str) -> Response:
    return await list_tasks(node, caller)


async def _task(request: Request, node: Node, caller: Caller, task_id: str) -> Response:
    return await read_task(request, node, await node.task(task_id, caller))


async def _output(request: Request, node: Node, caller: Caller, task_id: str) -> Response:
    return await read_output(request, node, await node.task(task_id, caller))


POLLED = {
    "/info": Poll("/info", _info),
    "/task/list": Poll("/task/list", _list),
    "/task/*/info": Poll("/task/{uuid}/info", _task),
    "/task/*/output": Poll("/task/{uuid}/output", _output),
}
