"""``/api/projects/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.webodm.accounts import Accounts
from tests.support.webodm.forms import read_form
from tests.support.webodm.records import NAME_AT_MOST, PERMISSIONS, Library, Project, given_tags, kept_tags
from tests.support.webodm.refusals import RefusedError, invalid_field
from tests.support.webodm.search import listed, page


@dataclass
class Projects:
    """Made, listed, edited, deleted."""

    accounts: Accounts
    library: Library

    def routes(self) -> list[web.RouteDef]:
        one = "/api/projects/{project}/"
        return [
            web.get("/api/projects/", self.list),
            web.post("/api/projects/", self.create),
            web.get(one, self.retrieve),
            web.patch(one, self.update),
            web.delete(one, self.destroy),
            web.post(f"{one}edit/", self.edit),
            web.get(f"{one}permissions/", self.permissions),
        ]

    async def list(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        found = [project.shown_to(user) for project in listed(self.library, user, request.query)]
        return web.json_response(page(request, found))

    async def create(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        async with read_form(request) as form:
            fields = _checked(form.fields, is_partial=False)
        project = self.library.create(
            user, fields["name"], fields.get("description", ""), fields.get("tags", "")
        )
        return web.json_response(project.shown_to(user), status=201)

    async def retrieve(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        return web.json_response(self._project(request).shown_to(user))

    async def update(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        project = self._project(request, "change")
        async with read_form(request) as form:
            for name, value in _checked(form.fields, is_partial=True).items():
                setattr(project, name, value)
        return web.json_response(project.shown_to(user))

    async def destroy(self, request: web.Request) -> web.Response:
        """Delete a project; whoever does not own it loses sight of it only."""
        user = self.accounts.caller(request)
        project = self._project(request)
        if user.is_superuser or project.owner == user.name:
            del self.library.projects[project.id]
        else:
            project.shared_with.pop(user.name, None)
        return web.Response(status=204)

    async def edit(self, request: web.Request) -> web.Response:
        """Set everything; what is not given is blanked."""
        project = self._project(request, "change")
        async with read_form(request) as form:
            fields = form.fields
        for one in fields.get("permissions") or []:
            if one.get("username") not in self.accounts.users:
                raise RefusedError(400, {"error": "Invalid user in permissions list"})
        project.name = str(fields.get("name", ""))
        project.description = str(fields.get("description", ""))
        project.tags = kept_tags(given_tags(fields.get("tags", [])))
        if fields.get("permissions") is not None:
            project.shared_with = {
                one["username"]: set(one["permissions"])
                for one in fields["permissions"]
                if not one.get("owner") and one["username"] != project.owner
            }
        return web.json_response({"success": True})

    async def permissions(self, request: web.Request) -> web.Response:
        project = self._project(request, "change")
        owner = {"username": project.owner, "owner": True, "permissions": list(PERMISSIONS)}
        others = [
            {"username": name, "owner": False, "permissions": sorted(held)}
            for name, held in project.shared_with.items()
        ]
        return web.json_response([owner, *others])

    def _project(self, request: web.Request, *permissions: str) -> Project:
        user = self.accounts.caller(request)
        return self.library.project(user, request.match_info["project"], *permissions)


def _checked(fields: dict[str, Any], *, is_partial: bool) -> dict[str, str]:
    """Return what of a project was given, in the form that is kept.

    Raises:
        RefusedError: Something is missing, or cannot be kept.
    """
    kept: dict[str, str] = {}
    if "name" in fields or not is_partial:
        kept["name"] = _checked_name(fields)
    if "description" in fields:
        kept["description"] = str(fields["description"] or "")
    if "tags" in fields:
        kept["tags"] = kept_tags(given_tags(fields["tags"]))
    return kept


def _checked_name(fields: dict[str, Any]) -> str:
    if "name" not in fields:
        raise invalid_field("name", "This field is required.")
    name = str(fields["name"] or "").strip()
    if not name:
        raise invalid_field("name", "This field may not be blank.")
    if len(name) > NAME_AT_MOST:
        raise invalid_field("name", f"Ensure this field has no more than {NAME_AT_MOST} characters.")
    if "\0" in name:
        raise invalid_field("name", "Null characters are not allowed.")
    return name
