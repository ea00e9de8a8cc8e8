"""Which projects a list holds, in which order, and on which page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.support.webodm.accounts import User
from tests.support.webodm.records import Library, Project
from tests.support.webodm.refusals import not_found

PAGE_SIZE = 10
_ORDERED_BY = ("id", "name", "description", "created_at")


def listed(library: Library, user: User, query: Mapping[str, str]) -> list[Project]:
    """Return what a user may see, filtered and ordered."""
    seen = [project for project in library.projects.values() if project.permissions_of(user)]
    for field in ("id", "name", "description"):
        if query.get(field):
            seen = [project for project in seen if str(getattr(project, field)) == query[field]]
    if query.get("search"):
        seen = [project for project in seen if fits(project, query["search"])]
    order = query.get("ordering", "").split(",")[0]
    field = order.removeprefix("-")
    if field not in _ORDERED_BY:
        order, field = "-created_at", "created_at"
    return sorted(seen, key=lambda project: (getattr(project, field), project.id), reverse=order[0] == "-")


def fits(project: Project, search: str) -> bool:
    """Return whether a project fits the search box: ``#tag``, ``##task-tag``, ``@owner`` and words."""
    words = search.replace(":", "#").split()
    task_tags = {word for task in project.tasks.values() for word in _tokens(task.tags)}
    named = {word for text in (project.name, project.description) for word in _tokens(text)}
    for word in words:
        if word.startswith("##"):
            held, wanted = task_tags, word[2:]
        elif word.startswith("#"):
            held, wanted = _tokens(project.tags), word[1:]
        elif word.startswith("@"):
            held, wanted = {project.owner.lower()}, word[1:]
        else:
            held, wanted = named, word
        if not _tokens(wanted) <= held:
            return False
    return True


def _tokens(text: str) -> set[str]:
    """Return what PostgreSQL's text search would see: no case, and words taken apart at punctuation."""
    return set(re.findall(r"\w+", text.lower()))


def page(request: web.Request, found: list[dict[str, Any]]) -> list[dict[str, Any]] | dict[str, Any]:
    """Return one page if one was asked for, else everything."""
    if "page" not in request.query:
        return found
    last = max(1, -(-len(found) // PAGE_SIZE))
    asked = request.query["page"]
    if not asked.isdecimal() or not 1 <= int(asked) <= last:
        raise not_found("Invalid page.")
    number = int(asked)

    def link(to: int) -> str | None:
        return str(request.url.update_query(page=str(to))) if 1 <= to <= last else None

    return {
        "count": len(found),
        "next": link(number + 1),
        "previous": link(number - 1),
        "page_size": PAGE_SIZE,
        "results": found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE],
    }
