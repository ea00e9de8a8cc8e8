"""Programs that the tests run and a fresh machine has not."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT_FOR_OTHERS = ("-o", "DPkg::Lock::Timeout=300")
_POLICY = Path("/usr/sbin/policy-rc.d")
_START_NOTHING = "#!/bin/sh\nexit 101\n"


def ensure_installed(program: str, *packages: str) -> None:
    """Install Debian packages unless their program, or a file named by its whole path, is there.

    No service of theirs is started. Several workers may ask at once: one installs, the others wait.

    Raises:
        RuntimeError: This is no Debian, or we are not root; it says what is missing.
    """
    if _is_there(program):
        return
    names = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(f"there is no {program}: install Debian's {names}, or run this as root on Debian")
    with _one_at_a_time(), _no_service_starts():
        if not _is_there(program):
            _install(packages)


def _is_there(program: str) -> bool:
    return shutil.which(program) is not None or (Path(program).is_absolute() and Path(program).exists())


def _install(packages: tuple[str, ...]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        subprocess.run(
            ["apt-get", *_WAIT_FOR_OTHERS, *command],
            env=environment,
            check=True,
            capture_output=True,
            timeout=600,
        )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / "flightline-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Tell Debian's packages not to start what they bring, unless somebody has said what may start."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text(_START_NOTHING)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
