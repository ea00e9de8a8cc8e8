"""Apache with mod_dav, on a folder, with a login, as a plain process of ours."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.dav_servers.running import PASSWORD, USER, RunningDav, on_disk
from tests.support.debian import ensure_installed
from tests.support.processes import free_port, running

_PROGRAM = "/usr/sbin/apache2"
_MODULES = Path("/usr/lib/apache2/modules")
_NAMES = "mpm_event authn_core authn_file auth_basic authz_core authz_user dav dav_fs"
_CONFIGURATION = """
{modules}
ServerName localhost
ServerRoot "{root}"
DefaultRuntimeDir "{root}"
Listen 127.0.0.1:{port}
PidFile "{root}/pid"
ErrorLog "{root}/log"
Mutex pthread
DocumentRoot "{root}/shown"
DavLockDB "{root}/locks"
<Directory "{root}/shown">
    Dav On
    AuthType Basic
    AuthName dav
    AuthUserFile "{root}/users"
    Require valid-user
</Directory>
"""
_UNPRIVILEGED = "65534"
_ANY_FILE = "+dac_override,+fowner"


@contextmanager
def apache(root: Path) -> Iterator[RunningDav]:
    """Run it until the block ends; what it needs lies in ``root``."""
    ensure_installed(_PROGRAM, "apache2-bin")
    port = free_port()
    disk = root / "shown" / "dav"
    disk.mkdir(parents=True)
    (root / "users").write_text(f"{USER}:{sha_password(PASSWORD)}\n")
    modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _NAMES.split())
    configuration = root / "apache.conf"
    configuration.write_text(_CONFIGURATION.format(root=root, port=port, modules=modules))
    command = [*_not_as_root(), _PROGRAM, "-X", "-f", str(configuration)]
    with (
        running(command, port, root / "log"),
        on_disk("apache", f"http://127.0.0.1:{port}/dav/", disk) as server,
    ):
        yield server


def sha_password(password: str) -> str:
    """Return a password as Apache's and nginx's files of users take it."""
    return "{SHA}" + b64encode(hashlib.sha1(password.encode()).digest()).decode()


def _not_as_root() -> list[str]:
    """Return what goes before the program: it refuses to be root, but the tests' files are root's."""
    if os.geteuid() != 0:
        return []
    return [
        "setpriv",
        f"--reuid={_UNPRIVILEGED}",
        f"--regid={_UNPRIVILEGED}",
        "--clear-groups",
        f"--inh-caps={_ANY_FILE}",
        f"--ambient-caps={_ANY_FILE}",
    ]
