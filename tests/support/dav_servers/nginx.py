"""nginx with WebDAV: the server that ignores every precondition."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.dav_servers.apache import sha_password
from tests.support.dav_servers.running import PASSWORD, USER, RunningDav, on_disk
from tests.support.debian import ensure_installed
from tests.support.processes import free_port, running

_MODULE = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"
_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
{user}
pid {root}/pid;
error_log {root}/log;
events {{ }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {root}/uploads;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root}/shown;
        auth_basic dav;
        auth_basic_user_file {root}/users;
        location / {{
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS;
        }}
    }}
}}
"""


@contextmanager
def nginx(root: Path) -> Iterator[RunningDav]:
    """Run it until the block ends; what it needs lies in ``root``."""
    ensure_installed(_MODULE, "nginx", "libnginx-mod-http-dav-ext")
    port = free_port()
    disk = root / "shown" / "dav"
    disk.mkdir(parents=True)
    (root / "users").write_text(f"{USER}:{sha_password(PASSWORD)}\n")
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = root / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(root=root, port=port, user=user, module=_MODULE))
    command = ["/usr/sbin/nginx", "-e", str(root / "log"), "-c", str(configuration)]
    with (
        running(command, port, root / "log"),
        on_disk("nginx", f"http://127.0.0.1:{port}/dav/", disk) as server,
    ):
        yield server
