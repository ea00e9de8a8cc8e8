"""ODM's command line: arguments for ``exec``, never for a shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .workspace import PROJECT, RefusedError, Workspace, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ARGUMENT_BYTES = 100_000
"""Linux takes arguments of up to 128 KiB."""
NO_SPLIT = "999999"
"""ODM's default: more images than anybody has."""
_OPTION = re.compile(r"[a-z0-9][a-z0-9-]*")
_OURS = frozenset({"project-path", "images", "gcp", "geo", "align", "split-image-groups", "copy-to"})


def command_line(command: Sequence[str], workspace: Workspace) -> list[str]:
    """Return how ODM is called for the job of a workspace.

    Args:
        command: How ODM is called; may hold ``{workspace}`` and ``{project}``, and a ``--project-path`` of
            its own where ODM sees the workspace elsewhere, as in a container.
        workspace: Has the job.

    Raises:
        RefusedError: An option is none of ODM's.
    """
    called = [part.replace("{workspace}", str(workspace.folder)) for part in command]
    seen_at = _option_of(called, "--project-path")
    root = seen_at or str(workspace.folder)
    options = workspace.job().get("options", [])
    given = [argument for option in options for argument in _argument(option, workspace, root)]
    beside = [f"{flag}={root}/{workspace.images.name}/{name}" for flag, name in sidecars(workspace.images)]
    place = [] if seen_at else ["--project-path", root]
    name = [] if any("{project}" in part for part in called) else [PROJECT]
    return [*(part.replace("{project}", PROJECT) for part in called), *given, *beside, *place, *name]


def splits(arguments: Sequence[str]) -> bool:
    """Return whether submodels will tell of their stages in the words of the whole."""
    asked = _option_of(arguments, "--split")
    return asked is not None and asked != NO_SPLIT


def _option_of(called: Sequence[str], name: str) -> str | None:
    for place, part in enumerate(called):
        if part.startswith(f"{name}="):
            return part[len(name) + 1 :]
        if part == name and place + 1 < len(called):
            return called[place + 1]
    return None


def _argument(option: dict[str, Any], workspace: Workspace, root: str) -> Iterator[str]:
    name, value = str(option["name"]), option["value"]
    if not _OPTION.fullmatch(name) or name in _OURS:
        raise RefusedError(f"{name!r} is no option of a task.")
    if value is True:
        yield f"--{name}"
    elif value is not False and value is not None and value != "":
        text = str(value)
        if len(text.encode()) > ARGUMENT_BYTES:  # a boundary of thousands of points: ODM takes files, too
            workspace.project.mkdir(parents=True, exist_ok=True)
            write_whole(workspace.project / f"{name}.json", text)
            text = f"{root}/{PROJECT}/{name}.json"
        yield f"--{name}={text}"


def sidecars(images: Path) -> list[tuple[str, str]]:
    """Return the flags for files beside the images, with the files' names, as NodeODM tells them apart."""
    names = {path.name.lower(): path.name for path in sorted(images.iterdir()) if path.is_file()}
    texts = [name for name in names if name.endswith(".txt") and name not in ("geo.txt", "image_groups.txt")]
    chosen = [
        ("--gcp", "gcp_list.txt" if "gcp_list.txt" in names else next(iter(texts), "")),
        ("--geo", "geo.txt"),
        ("--split-image-groups", "image_groups.txt"),
        ("--align", next((name for name in ("align.laz", "align.las", "align.tif") if name in names), "")),
    ]
    return [(flag, names[name]) for flag, name in chosen if name in names]
