"""What the build stage of the Dockerfile makes, without a container engine: its commands, elsewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.images.dockerfile import ROOT, Instruction, copied, ignored, is_sent, ours

USER = 10001
_RESTRICTED = """
set -e
mount --make-rprivate /
mount --options remount,bind,ro /
mount --types tmpfs --options mode=1777 tmpfs {data}
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
    env --ignore-environment {environment} {command}
"""
"""The root is read-only, but for a new folder; whoever runs there has no right and no group of ours."""


@dataclass(frozen=True, slots=True)
class Built:
    """What an image would have in /app; ``data`` stands for /data."""

    service: str
    app: Path
    data: Path

    def restricted(self, *arguments: str, program: str = "service", **environment: str) -> list[str]:
        """Return the command that runs a program as a cluster would."""
        given = {**self._environment, **environment}
        script = _RESTRICTED.format(
            data=self.data,
            user=USER,
            environment=" ".join(shlex.quote(f"{name}={value}") for name, value in given.items()),
            command=shlex.join([str(self.app / "bin" / program), *arguments]),
        )
        return ["unshare", "--mount", "sh", "-c", script]

    @property
    def _environment(self) -> dict[str, str]:
        told = _environment(_of_stage(1), {"/app": str(self.app), "/data": str(self.data)})
        return told | {"PATH": f"{self.app}/bin:/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(self.data)}


@contextmanager
def built(service: str) -> Iterator[Built]:
    """Run the build stage for a service, on what is checked out."""
    with tempfile.TemporaryDirectory(prefix="image-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # another user has to reach what is in it
        made = Built(service, folder / "app", folder / "data")
        made.data.mkdir()
        _export(folder / "src")
        _run_stage(folder, made)
        yield made


def _export(folder: Path) -> None:
    """Copy what a build of this checkout would see: neither what git ignores nor what .dockerignore hides."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", *copied()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in listing.split("\0"):
        if name and is_sent(name, ignored()) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _run_stage(folder: Path, made: Built) -> None:
    (folder / "bin").mkdir()
    uv = folder / "bin" / "uv"
    uv.write_text(f'#!/bin/sh\nPATH={shlex.quote(os.environ["PATH"])} exec {ROOT}/.ci/uv "$@"\n')
    uv.chmod(0o755)
    places = {"/app": str(made.app)}
    environment = {
        **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        **_environment(_of_stage(0), places),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "SERVICE": made.service,
        "UV_PYTHON": _python(),
    }
    for one in _of_stage(0):
        if one.word == "RUN" and not one.rest.startswith("pip "):
            command = re.sub(r"^(--\S+ +)+", "", _placed(one.rest, places))
            subprocess.run(["sh", "-euc", command], cwd=folder / "src", env=environment, check=True)


def _python() -> str:
    """Return a Python that every user may run: that of a developer may lie in a home."""
    for name in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        path = Path(name).resolve()
        if path.exists() and all(part.stat().st_mode & 0o001 for part in (path, *path.parents)):
            return str(path)
    raise RuntimeError("there is no Python that every user may run: install Debian's python3")


def _of_stage(stage: int) -> list[Instruction]:
    return [one for one in ours() if one.stage == stage]


def _environment(stage: list[Instruction], places: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a stage; those that refer to others are left out."""
    pairs = (word.split("=", 1) for one in stage if one.word == "ENV" for word in one.words)
    return {name: _placed(value, places) for name, value in pairs if "${" not in value}


def _placed(text: str, places: Mapping[str, str]) -> str:
    for path, place in places.items():
        text = re.sub(rf"{path}\b", place, text)
    return text
