"""A client of WebODM: projects, tasks, images and results that were made elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from pydantic import SecretStr, ValidationError
from yarl import URL

from discovery.adapters.webodm_file import FileBody
from discovery.adapters.webodm_records import (
    Project,
    Record,
    Task,
    checked_key_tag,
    checked_name,
    checked_tags,
    task_options,
)
from discovery.adapters.webodm_session import Request, Session, Timeouts
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.tracing.calls import watched
from shared.urls import checked_url

CONNECTIONS_AT_MOST = 16
"""So that uploads leave some for the rest."""
PAGES_AT_MOST = 1_000
PROJECTS = "/api/projects/"
_TASK_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class WebODM:
    """One WebODM, as one of its users.

    Every method may raise ``TransientError`` (it is away or busy; what was asked for may have happened all
    the same), ``NotFoundError`` (it is gone, or somebody else's) and ``PermanentError`` (WebODM refuses).
    """

    session: Session

    async def create_project(self, name: str, *, description: str = "", tags: Sequence[str] = ()) -> Project:
        """Make a project; asking twice makes two."""
        body = {"name": checked_name(name), "description": description, "tags": checked_tags(tags)}
        doing = f"create the project {name!r}"
        return self._read(Project, await self.session.ask(Request("POST", PROJECTS, doing, body=body)), doing)

    async def project(self, project_id: int) -> Project:
        """Return a project; ``NotFoundError`` says that somebody deleted it."""
        doing = f"look up project {project_id}"
        return self._read(Project, await self.session.ask(Request("GET", _project(project_id), doing)), doing)

    async def find_projects(
        self, *, tag: str | None = None, name: str | None = None, at_most: int = 1_000
    ) -> list[Project]:
        """Return the projects with exactly this tag and this name, the oldest first."""
        asked = {"search": f"#{tag}" if tag else None, "name": name, "ordering": "id"}
        params = {key: value for key, value in asked.items() if value}
        found: dict[int, Project] = {}
        async for project in self._pages(params):
            # WebODM's search takes tags apart and does not mind the case.
            if (not tag or tag in project.tags) and name in (None, project.name):
                found[project.id] = project
            if len(found) == at_most:
                break
        return sorted(found.values(), key=lambda project: project.id)

    async def _pages(self, params: Mapping[str, str]) -> AsyncIterator[Project]:
        doing = "look for projects"
        for number in range(1, PAGES_AT_MOST + 1):
            request = Request("GET", PROJECTS, doing, params={**params, "page": str(number)})
            try:
                page = await self.session.ask(request)
            except NotFoundError:
                if number == 1:
                    raise
                return  # there are fewer pages than a moment ago
            if not isinstance(page, dict) or not isinstance(page.get("results"), list):
                raise PermanentError(f"{self.session.name} answered with no page of projects")
            for item in page["results"]:
                yield self._read(Project, item, doing)
            if not page.get("next"):
                return

    async def edit_project(
        self, project_id: int, *, name: str, description: str, tags: Sequence[str]
    ) -> None:
        """Set a project's name, description and tags: WebODM blanks what is not given."""
        body = {"name": checked_name(name), "description": description, "tags": checked_tags(tags)}
        await self.session.ask(
            Request("POST", f"{_project(project_id)}edit/", f"edit project {project_id}", body=body)
        )

    async def delete_project(self, project_id: int) -> None:
        """Delete a project; one that is gone is no error."""
        await self._remove(Request("DELETE", _project(project_id), f"delete project {project_id}"))

    async def ensure_project(
        self, key_tag: str, *, name: str, description: str = "", tags: Sequence[str] = ()
    ) -> tuple[Project, bool]:
        """Return the project with a key tag and whether it is new; who calls again gets the same one.

        WebODM has no unique names: a create whose answer was lost may happen late. So it is looked again
        after each create, the oldest project wins, and empty doubles of the same name are deleted. Two
        callers at once must not ask for the same key.

        Args:
            key_tag: ``fl`` and 16 hexadecimal digits.
            name: Given to a new project; one that is there keeps its own.
            description: Likewise.
            tags: Likewise; the key tag is added.
        """
        found = await self._keyed(checked_key_tag(key_tag))
        if is_new := not found:
            made = await self.create_project(name, description=description, tags=[*tags, key_tag])
            found = await self._keyed(key_tag) or [made]
            is_new = found[0].id == made.id
        for double in found[1:]:
            if double.owned and not double.tasks and double.name == found[0].name:
                await self.delete_project(double.id)
        return found[0], is_new

    async def _keyed(self, key_tag: str) -> list[Project]:
        return [project for project in await self.find_projects(tag=key_tag) if project.may_change]

    async def tasks(self, project_id: int) -> list[Task]:
        """Return the tasks of a project."""
        doing = f"list the tasks of project {project_id}"
        found = await self.session.ask(Request("GET", f"{_project(project_id)}tasks/", doing))
        if not isinstance(found, list):
            raise PermanentError(f"{self.session.name} answered with no list of tasks")
        return [self._read(Task, item, doing) for item in found]

    async def task(self, project_id: int, task_id: str) -> Task:
        """Return a task and how far it is."""
        doing = f"look up task {task_id}"
        answer = await self.session.ask(Request("GET", _task(project_id, task_id), doing))
        return self._read(Task, answer, doing)

    async def start_partial_task(
        self,
        project_id: int,
        *,
        name: str,
        options: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> Task:
        """Make a task that waits for its images until it is committed; asking twice makes two."""
        doing = f"create a task in project {project_id}"
        form = {
            "name": checked_name(name),
            "partial": "true",
            "options": json.dumps(task_options(options or {})),
            "tags": json.dumps(checked_tags(tags)),
        }
        request = Request("POST", f"{_project(project_id)}tasks/", doing, form=form)
        return self._read(Task, await self.session.ask(request), doing)

    async def ensure_partial_task(
        self, project_id: int, key_tag: str, *, name: str, options: Mapping[str, Any] | None = None
    ) -> tuple[Task, bool]:
        """Return a project's task with a key tag, made if need be, and whether it is new."""
        for task in await self.tasks(project_id):
            if checked_key_tag(key_tag) in task.tags:
                return task, False
        return await self.start_partial_task(project_id, name=name, options=options, tags=[key_tag]), True

    async def upload_file(
        self, project_id: int, task_id: str, *, name: str, chunks: AsyncIterator[bytes], size_bytes: int
    ) -> None:
        """Put a whole file into a partial task; the same name again replaces it.

        Raises:
            TransientError: Also: not all of it arrived, or the login expired; upload it again from the start.
        """
        doing = f"upload {name}"
        file = FileBody(name=name, size_bytes=size_bytes, chunks=chunks)
        request = Request("POST", f"{_task(project_id, task_id)}upload/", doing, file=file)
        answer = await self.session.ask(request)
        uploaded = answer.get("uploaded") if isinstance(answer, dict) else None
        if not isinstance(uploaded, dict) or name not in uploaded:
            raise PermanentError(f"{self.session.name} did not keep {name} under its name")
        if uploaded[name] != size_bytes:
            raise TransientError(f"{self.session.name} kept {uploaded[name]} of {size_bytes} bytes of {name}")

    async def commit_task(self, project_id: int, task_id: str) -> Task:
        """Say that all images of a partial task are there: it is processed."""
        doing = f"commit task {task_id}"
        answer = await self.session.ask(Request("POST", f"{_task(project_id, task_id)}commit/", doing))
        return self._read(Task, answer, doing)

    async def import_task(self, project_id: int, *, name: str, url: str) -> Task:
        """Have WebODM fetch a ZIP of finished assets from ``url``; asking twice makes two tasks."""
        doing = f"import {name!r} into project {project_id}"
        body = {"name": checked_name(name), "url": checked_url(url)}
        request = Request("POST", f"{_project(project_id)}tasks/import", doing, body=body)
        return self._read(Task, await self.session.ask(request), doing)

    async def ensure_imported_task(self, project_id: int, *, name: str, url: str) -> tuple[Task, bool]:
        """Return a project's task of this name, imported if need be, and whether it is new.

        The name is all that an import can be known by: it must be of one result only. What failed to be
        imported is removed and imported anew.
        """
        for task in await self.tasks(project_id):
            if task.name != name:
                continue
            if not task.has_failed:
                return task, False
            await self.remove_task(project_id, task.id)
        return await self.import_task(project_id, name=name, url=url), True

    async def remove_task(self, project_id: int, task_id: str) -> None:
        """Delete a task with its images and assets; one that is gone is no error."""
        await self._remove(Request("POST", f"{_task(project_id, task_id)}remove/", f"remove task {task_id}"))

    async def output(self, project_id: int, task_id: str, *, first_line: int = 0) -> list[str]:
        """Return what a task wrote to its console."""
        request = Request(
            "GET", f"{_task(project_id, task_id)}output/", f"read the output of task {task_id}",
            params={"line": str(first_line)},
        )  # fmt: skip
        text = await self.session.ask(request)
        return text.split("\n") if isinstance(text, str) and text else []

    async def _remove(self, request: Request) -> None:
        try:
            await self.session.ask(request)
        except NotFoundError:
            return

    def _read(self, kind: type[R], answer: Any, doing: str) -> R:
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
            raise PermanentError(
                f"{self.session.name} gave an answer that cannot be understood ({fields}) to: {doing}"
            ) from None


@asynccontextmanager
async def open_webodm(
    url: str, username: str, password: SecretStr, *, timeouts: Timeouts | None = None
) -> AsyncIterator[WebODM]:
    """Open a client of the WebODM at ``url``; it logs in when it is first used.

    Raises:
        InvalidInputError: ``url`` is none, or has a user name in it.
    """
    if URL(checked_url(url)).user is not None:
        raise InvalidInputError("user name and password do not belong into WebODM's URL", field="url")
    async with ClientSession(
        connector=TCPConnector(limit=CONNECTIONS_AT_MOST),
        cookie_jar=DummyCookieJar(),
        middlewares=(watched("webodm"),),
    ) as http:
        yield WebODM(Session(http, url.rstrip("/"), username, password, timeouts or Timeouts()))


def _project(project_id: int) -> str:
    return f"{PROJECTS}{project_id:d}/"


def _task(project_id: int, task_id: str) -> str:
    if not _TASK_ID.fullmatch(task_id):
        raise InvalidInputError("not the id of a task", field="task_id", value=task_id)
    return f"{_project(project_id)}tasks/{task_id}/"
