"""Starting a WebDAV server by its name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flightline.nextcloud_simulator import Nextcloud, serving
from tests.support.dav_servers.apache import apache
from tests.support.dav_servers.lighttpd import lighttpd
from tests.support.dav_servers.nginx import nginx
from tests.support.dav_servers.real import real
from tests.support.dav_servers.running import PASSWORD, USER, OnDisk, RunningDav, on_disk, place_at

ATOMIC_KINDS = ("nextcloud", "lighttpd", "apache")
KINDS = ("nextcloud", "wsgidav", "lighttpd", "apache")
"""Those that honour preconditions."""


@contextmanager
def running_dav(kind: str) -> Iterator[RunningDav]:
    """Run a server, empty, until the block ends."""
    with tempfile.TemporaryDirectory(prefix=f"flightline-{kind}-") as temporary:
        root = Path(temporary)
        root.chmod(0o777)  # Apache is not root
        with _STARTERS[kind](root) as server:
            yield server


@contextmanager
def _wsgidav(root: Path) -> Iterator[RunningDav]:
    from tests.support.dav import dav_server as wsgidav_server  # noqa: PLC0415 - takes a while to import

    disk = root / "dav"
    disk.mkdir()
    with wsgidav_server(disk) as server, on_disk("wsgidav", f"http://{server.host}/", disk) as shown:
        yield shown


@contextmanager
def _nextcloud(root: Path) -> Iterator[RunningDav]:
    with Nextcloud(root / "home", user=USER, password=PASSWORD) as simulator, serving(simulator) as url:
        place = place_at(f"{url}/remote.php/dav/files/{USER}/", host_url=url)
        yield RunningDav("nextcloud", place, OnDisk(simulator.folder, simulator), simulator.folder, simulator)


_STARTERS: dict[str, Callable[[Path], AbstractContextManager[RunningDav]]] = {
    "nextcloud": _nextcloud,
    "wsgidav": _wsgidav,
    "lighttpd": lighttpd,
    "apache": apache,
    "nginx": nginx,
    "real": real,
}
