"""lighttpd with mod_webdav, on a folder, with a login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.dav_servers.running import PASSWORD, USER, RunningDav, on_disk
from tests.support.debian import ensure_installed
from tests.support.processes import free_port, running

_MODULE = "/usr/lib/lighttpd/mod_webdav.so"
_CONFIGURATION = """
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.document-root = "{root}/shown"
server.bind = "127.0.0.1"
server.port = {port}
server.upload-dirs = ("{root}/uploads")
server.max-request-size = 0
server.stat-cache-engine = "disable"
mimetype.assign = ("" => "application/octet-stream")
auth.backend = "plain"
auth.backend.plain.userfile = "{root}/users"
auth.require = ("/" => ("method" => "basic", "realm" => "dav", "require" => "valid-user"))
webdav.activate = "enable"
webdav.is-readonly = "disable"
webdav.sqlite-db-name = "{root}/locks.db"
"""


@contextmanager
def lighttpd(root: Path) -> Iterator[RunningDav]:
    """Run it until the block ends; what it needs lies in ``root``."""
    ensure_installed(_MODULE, "lighttpd", "lighttpd-mod-webdav")
    port = free_port()
    disk = root / "shown" / "dav"
    for folder in (disk, root / "uploads"):
        folder.mkdir(parents=True)
    (root / "users").write_text(f"{USER}:{PASSWORD}\n")
    configuration = root / "lighttpd.conf"
    configuration.write_text(_CONFIGURATION.format(root=root, port=port))
    with (
        running(["/usr/sbin/lighttpd", "-D", "-f", str(configuration)], port, root / "log"),
        on_disk("lighttpd", f"http://127.0.0.1:{port}/dav/", disk) as server,
    ):
        yield server
