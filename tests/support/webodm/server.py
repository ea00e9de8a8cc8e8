"""WebODM's HTTP server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.support.webodm.accounts import Accounts, User
from tests.support.webodm.faults import Call, Faults
from tests.support.webodm.forms import read_form
from tests.support.webodm.processing import Processing
from tests.support.webodm.projects import Projects
from tests.support.webodm.records import Library, Project, Task
from tests.support.webodm.refusals import RefusedError
from tests.support.webodm.tasks import Tasks
from tests.support.webodm.uploads import Uploads

JSON_AT_MOST_BYTES = 4 << 20


@dataclass
class WebODMServer:
    """One WebODM; what it holds outlives a stop."""

    home: Path
    accounts: Accounts
    faults: Faults
    library: Library
    processing: Processing
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    _port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; after a stop on the same port."""
        app = web.Application(middlewares=[self._befall], client_max_size=JSON_AT_MOST_BYTES)
        app.router.add_post("/api/token-auth/", self._log_in)
        for part in (
            Projects(self.accounts, self.library),
            Uploads(self.accounts, self.library, self.processing),
            Tasks(self.accounts, self.library, self.processing),
        ):
            app.add_routes(part.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Be down: connections are refused."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @property
    def projects(self) -> list[Project]:
        """All projects, whoever owns them."""
        return list(self.library.projects.values())

    def only_task(self) -> Task:
        """Return the one task that there is."""
        (task,) = (task for project in self.projects for task in project.tasks.values())
        return task

    def count(self, method: str, path: str = "") -> int:
        """Return how many requests were made whose path ends so."""
        return sum(call.method == method and call.path.endswith(path) for call in self.calls)

    def counts(self) -> Counter[tuple[str, int | None]]:
        """Return how often each method had which outcome."""
        return Counter((call.method, call.status) for call in self.calls)

    def deleted_by_its_owner(self, project: Project) -> None:
        """Delete a project as somebody would in the browser."""
        del self.library.projects[project.id]

    async def settled(self, task: Task, *, within_s: float = 30) -> Task:
        """Return a task once nothing more happens to it."""
        async with asyncio.timeout(within_s):
            while task.status not in (30, 40, 50) or task.pending_action is not None:
                await asyncio.sleep(0.01)
        return task

    async def _log_in(self, request: web.Request) -> web.Response:
        async with read_form(request) as form:
            return web.json_response({"token": self.accounts.log_in(form.fields)})

    @web.middleware
    async def _befall(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status: int | None = None
        try:
            answer = await self.faults.befall(request, lambda: _answered(request, handler))
            status = answer.status
            return answer
        finally:
            query = {name: value for name, value in request.query.items() if name != "jwt"}
            self.calls.append(Call(request.method, request.path, query, status))


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as refused:
        return web.json_response(refused.body, status=refused.status)
    except web.HTTPNotFound:
        return web.json_response({"detail": "Not found."}, status=404)


@asynccontextmanager
async def webodm_server(home: Path) -> AsyncIterator[WebODMServer]:
    """Run a WebODM on a free port of loopback, with a user ``pilot`` whose password is ``pilot's``."""
    accounts = Accounts()
    accounts.add(User("pilot", "pilot's"))
    library = Library(home)
    server = WebODMServer(home, accounts, Faults(accounts.expire_tokens), library, Processing(library))
    await server.start()
    try:
        yield server
    finally:
        await server.processing.close()
        await server.stop()
