"""Projects and tasks, and how they look in answers."""

from __future__ import annotations

import itertools
import json
import shutil
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.webodm.accounts import User
from tests.support.webodm.refusals import forbidden, not_found

PERMISSIONS = ("add", "change", "delete", "view")
QUEUED, RUNNING, FAILED, COMPLETED, CANCELED = 10, 20, 30, 40, 50
CANCEL, REMOVE, RESTART, RESIZE, IMPORT, COMPACT = range(1, 7)
NAME_AT_MOST = 255


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Task:
    """A task; its files lie in ``folder``, its assets below that."""

    project_id: int
    folder: Path
    id: str
    name: str | None = None
    options: list[dict[str, Any]] = field(default_factory=list)
    tags: str = ""
    status: int | None = None
    pending_action: int | None = None
    last_error: str | None = None
    partial: bool = False
    images_count: int = 0
    running_progress: float = 0.0
    upload_progress: float = 0.0
    import_url: str = ""
    available_assets: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=_now)

    @property
    def assets(self) -> Path:
        return self.folder / "assets"

    def images(self) -> dict[str, bytes]:
        """Return the files that were uploaded."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}

    def count_images(self) -> None:
        self.images_count = sum(path.is_file() for path in self.folder.iterdir())

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id, "project": self.project_id, "name": self.name, "options": self.options,
            "tags": shown_tags(self.tags), "status": self.status, "pending_action": self.pending_action,
            "last_error": self.last_error, "partial": self.partial, "images_count": self.images_count,
            "running_progress": self.running_progress, "upload_progress": self.upload_progress,
            "resize_progress": 0.0, "import_url": self.import_url, "created_at": _shown(self.created_at),
            "available_assets": self.available_assets, "processing_time": -1, "processing_node": None,
            "processing_node_name": None, "auto_processing_node": True, "can_rerun_from": [], "uuid": "",
            "statistics": {}, "extent": None, "media": 0, "crop": None, "srs": None, "public": False,
            "resize_to": -1, "size": 0.0,
        }  # fmt: skip


@dataclass
class Project:
    """A project; names need not be unique."""

    id: int
    name: str
    owner: str
    description: str = ""
    tags: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)
    shared_with: dict[str, set[str]] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now)

    def permissions_of(self, user: User) -> list[str]:
        if user.is_superuser or self.owner == user.name:
            return list(PERMISSIONS)
        return [name for name in PERMISSIONS if name in self.shared_with.get(user.name, set())]

    def shown_to(self, user: User) -> dict[str, Any]:
        return {
            "id": self.id, "name": self.name, "description": self.description, "public": False,
            "tags": shown_tags(self.tags), "tasks": list(self.tasks), "created_at": _shown(self.created_at),
            "permissions": self.permissions_of(user), "public_edit": False, "public_id": None,
            "owned": user.is_superuser or self.owner == user.name,
        }  # fmt: skip


@dataclass
class Library:
    """All projects, with their files in a folder."""

    home: Path
    projects: dict[int, Project] = field(default_factory=dict)
    short_files: int = 0
    """So many of the next files lose their second half: the disk was full."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def create(self, user: User, name: str, description: str, tags: str) -> Project:
        if not user.is_superuser and "add_project" not in user.permissions:
            raise forbidden()
        project = Project(next(self._ids), name, user.name, description, tags)
        self.projects[project.id] = project
        return project

    def project(self, user: User, project_id: str, *permissions: str) -> Project:
        """Return a project; whoever lacks a right to it is not told that it exists."""
        project = self.projects.get(int(project_id)) if project_id.isdecimal() else None
        if project is None or not {"view", *permissions} <= set(project.permissions_of(user)):
            raise not_found()
        return project

    def task(self, user: User, project_id: str, task_id: str, *permissions: str) -> Task:
        task = self.project(user, project_id, *permissions).tasks.get(task_id)
        if task is None:
            raise not_found()
        return task

    def add_task(self, project: Project, **fields: Any) -> Task:
        task_id = str(uuid.uuid4())
        folder = self.home / "project" / str(project.id) / "task" / task_id
        folder.mkdir(parents=True)
        task = Task(project_id=project.id, folder=folder, id=task_id, **fields)
        project.tasks[task.id] = task
        return task

    def remove_task(self, task: Task) -> None:
        project = self.projects.get(task.project_id)
        if project and project.tasks.pop(task.id, None):
            shutil.rmtree(task.folder, ignore_errors=True)


def kept_tags(tags: Any) -> str:
    """Return tags as they are stored: a tag with a space in it becomes two."""
    return " ".join(str(tag).strip() for tag in tags)


def given_tags(tags: Any) -> list[Any]:
    """Return tags as a form or a JSON body gives them; what cannot be read is none."""
    if isinstance(tags, str):
        try:
            tags = json.loads(tags)
        except ValueError:
            return []
    return tags if isinstance(tags, list) else []


def shown_tags(tags: str) -> list[str]:
    return [tag for tag in tags.split(" ") if tag]


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
