"""Files for tasks: images, whole or in chunks, and finished assets."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.webodm.accounts import Accounts
from tests.support.webodm.forms import Form, Sent, read_form
from tests.support.webodm.processing import Processing
from tests.support.webodm.records import IMPORT, RUNNING, Library, Project, Task
from tests.support.webodm.refusals import invalid

_CHUNKED = ("dzuuid", "dzchunkindex", "dztotalchunkcount")


@dataclass
class Uploads:
    """Takes files."""

    accounts: Accounts
    library: Library
    processing: Processing

    def routes(self) -> list[web.RouteDef]:
        every = "/api/projects/{project}/tasks/"
        return [
            web.post(f"{every}import", self.import_assets),
            web.post(f"{every}{{task}}/upload/", self.upload),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        task = self.library.task(user, request.match_info["project"], request.match_info["task"], "change")
        async with read_form(request) as form:
            if not form.files:
                raise invalid("No files uploaded")
            if len(form.files) == 1 and all(name in form.fields for name in _CHUNKED):
                uploaded = self._keep_chunk(task, form)
            else:
                uploaded = {sent.name: self._keep(task, sent) for sent in form.files}
        task.count_images()
        return web.json_response({"success": True, "uploaded": uploaded})

    def _keep(self, task: Task, sent: Sent) -> int:
        if self.library.short_files:
            self.library.short_files -= 1
            os.truncate(sent.path, sent.path.stat().st_size // 2)
        return keep_whole(task, sent)

    def _keep_chunk(self, task: Task, form: Form) -> dict[str, int]:
        sent = form.files[0]
        together = self._together(form)
        if together is None:
            return {}
        return {sent.name: keep_whole(task, Sent(sent.name, together))}

    def _together(self, form: Form) -> Path | None:
        """Append a chunk to those before it, even if it came before, and return the file after the last."""
        try:
            index, count = (int(form.fields[name]) for name in _CHUNKED[1:])
        except ValueError:
            raise invalid("chunkIndex is not an int") from None
        name = re.sub("[^0-9a-zA-Z-]+", "", str(form.fields["dzuuid"]))
        path = self.library.home / f"{name}.upload"
        if index == 0:
            path.unlink(missing_ok=True)
        with path.open("ab") as target, form.files[0].path.open("rb") as source:
            shutil.copyfileobj(source, target)
        return path if index + 1 >= count else None

    async def import_assets(self, request: web.Request) -> web.Response:
        user = self.accounts.caller(request)
        project = self.library.project(user, request.match_info["project"], "change")
        async with read_form(request) as form:
            archive = self._archive(form)
            if archive is False:
                return web.json_response({"uploaded": True})
            task = self._begin_import(project, form.fields, archive)
        return web.json_response(task.shown(), status=201)

    def _archive(self, form: Form) -> Path | bool | None:
        """Return the ZIP that was sent, None if it is to be fetched, and False if more of it will come."""
        url = form.fields.get("url")
        if not url and len(form.files) != 1:
            raise invalid("Cannot create task, you need to upload 1 file")
        if not url:
            if all(name in form.fields for name in _CHUNKED):
                return self._together(form) or False
            return form.files[0].path
        if form.files:
            raise invalid("Cannot create task, either specify a URL or upload 1 file.")
        if not re.match(r"https?://.", str(url).lower()):
            raise invalid(f"Invalid URL. Did you mean http://{url} ?")
        return None

    def _begin_import(self, project: Project, fields: dict[str, Any], archive: Path | bool | None) -> Task:
        task = self.library.add_task(
            project,
            name=str(fields.get("name", "Imported Task")),
            import_url=str(fields.get("url") or "file://all.zip"),
            status=RUNNING,
            pending_action=IMPORT,
        )
        task.assets.mkdir()
        if isinstance(archive, Path):
            shutil.move(archive, task.assets / "all.zip")
        self.processing.process(task)
        return task


def keep_whole(task: Task, sent: Sent) -> int:
    """Keep a file under its name, in place of one that has it already, and return its size."""
    target = task.folder / sent.name
    shutil.move(sent.path, target)
    return target.stat().st_size
