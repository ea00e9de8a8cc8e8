"""For people and for tools that describe APIs: the page at ``/``, and ``/swagger.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.task_info import task_info
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.node import Node
from odm_gateway.routes.asking import NodeHere
from odm_gateway.wire.answers import Json, NodeOdmRoute
from odm_gateway.wire.listing import theirs_of
from odm_gateway.wire.pages import facts, link, page
from shared.durations import format_duration
from shared.errors import InvalidInputError
from shared.state import Documents, Order

TASKS_PER_PAGE = 200
ASSETS_SHOWN = 8
GIB = 1 << 30
FRESH_FOR_S = 15

router = APIRouter(route_class=NodeOdmRoute)


@router.get("/")
async def show_node(request: Request, node: NodeHere) -> Response:
    """Show people the node, its queue and their tasks."""
    token = request.query_params.get("token", "")
    caller = await node.caller(token)
    if caller is None:
        return _token_wanted(node)
    await node.host.refresh()
    after = request.query_params.get("after")
    found = await _tasks(node, caller, after)
    now = datetime.now(UTC)
    rows = "\n".join(
        _row(document.body, now, token) for document in found.items if not document.body.removing
    )
    older = link("Older tasks", "", token=token, after=found.cursor) if found.cursor else ""
    newest = link("Newest tasks", "", token=token) if after else ""
    content = f"{_node_facts(node)}\n{_table(rows)}\n<p>{newest} {older}</p>"
    return page("Flightline", content, again_after_s=None if after else FRESH_FOR_S)


@router.get("/swagger.json")
async def describe_api() -> Response:
    """Return the API in the words of Swagger 2.0, for tools that know NodeODM's."""
    return Json(swagger())


@cache
def swagger() -> Mapping[str, Any]:
    """Return the description of the API."""
    document: dict[str, Any] = json.loads(files("odm_gateway").joinpath("swagger.json").read_text("utf-8"))
    return document


def _token_wanted(node: Node) -> Response:
    login = "<p>Log in with a POST to <code>/auth/login</code> to get one.</p>" if node.accounts else ""
    return page(
        "Flightline",
        "<p>This node wants a token.</p>"
        '<form method="get" action="/"><label>Token <input type="password" name="token" required></label>'
        f' <button type="submit">Show</button></form>{login}',
    )


async def _tasks(node: Node, caller: Caller, after: str | None) -> Documents[Task]:
    theirs = theirs_of(caller)
    order = Order("inserted_us", descending=True)
    try:
        return await node.tasks.find(theirs, order=order, limit=TASKS_PER_PAGE, after=after)
    except InvalidInputError:  # somebody made the cursor up
        return await node.tasks.find(theirs, order=order, limit=TASKS_PER_PAGE)


def _node_facts(node: Node) -> str:
    host = node.host
    return facts(
        {
            "Engine": f"{node.engine} {node.engine_version}",
            "Unfinished tasks": str(host.queue_count),
            "At once": str(node.tasks_at_once),
            "Images per task": str(node.max_images or "no limit"),
            "Kept after the end": format_duration(node.cleanup) if node.cleanup else "for ever",
            "Cores": str(host.cores),
            "Memory": f"{host.available_bytes / GIB:.1f} of {host.total_bytes / GIB:.1f} GiB free",
        }
    )


def _table(rows: str) -> str:
    if not rows:
        return "<p>There are no tasks.</p>"
    return (
        '<table>\n<thead><tr><th>Task</th><th>Status</th><th class="figure">Progress</th>'
        '<th class="figure">Images</th><th class="figure">Age</th><th>Results</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>"
    )


def _row(task: Task, now: datetime, token: str) -> str:
    info = task_info(task, now)
    status = Status(info["status"]["code"])
    error = info["status"].get("errorMessage")
    told = f"<br><small>{escape(error)}</small>" if error else ""
    images = str(task.image_count) if task.image_count >= 0 else "?"
    return (
        f"<tr><td>{escape(task.shown_name or task.id)}<br><small>{escape(task.id)}</small></td>"
        f"<td>{status.name.lower()}{told}</td>"
        f'<td class="figure">{info["progress"]:.0f} %</td><td class="figure">{images}</td>'
        f'<td class="figure">{_age(now - task.created_at)}</td><td>{_links(task, token)}</td></tr>'
    )


def _links(task: Task, token: str) -> str:
    path = f"/task/{quote(task.id, safe='')}"
    links = [link("info", f"{path}/info", token=token), link("console", f"{path}/output", token=token)]
    links += [
        link(asset, f"{path}/download/{quote(asset)}", token=token) for asset in _first_assets(task.assets)
    ]
    return " · ".join(links)


def _first_assets(assets: Sequence[str]) -> list[str]:
    """Return the assets to show: the archive and others of the top first, tiles in their thousands last."""
    return sorted(assets, key=lambda asset: (asset.count("/"), asset))[:ASSETS_SHOWN]


def _age(age: timedelta) -> str:
    """Return an age in its two largest units."""
    seconds = max(0, round(age.total_seconds()))
    for unit_s, smaller_s in ((86_400, 3600), (3600, 60), (60, 1)):
        if seconds >= unit_s:
            return format_duration(timedelta(seconds=seconds - seconds % smaller_s))
    return f"{seconds}s"
