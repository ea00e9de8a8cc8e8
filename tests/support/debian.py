"""Programs that the tests run and a fresh machine has not."""

from __future__ import annotations

import os
import shutil
import subprocess

_WAIT_FOR_OTHERS = ("-o", "DPkg::Lock::Timeout=300")


def ensure_installed(program: str, package: str) -> None:
    """Install a Debian package unless its program is there.

    Raises:
        RuntimeError: This is no Debian, or we are not root; it says what is missing.
    """
    if shutil.which(program) is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(
            f"there is no {program}: install Debian's {package}, or run this as root on Debian"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", package]):
        subprocess.run(
            ["apt-get", *_WAIT_FOR_OTHERS, *command],
            env=environment,
            check=True,
            capture_output=True,
            timeout=600,
        )
