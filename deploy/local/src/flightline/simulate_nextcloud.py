"""``flightline simulate nextcloud``: a Nextcloud on this machine, whose files lie in a folder."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flightline.nextcloud_simulator import Nextcloud

_TEXT = """Nextcloud (simulated) at {url}
  user      {username}, password {password}
  files     {folder}, shown at {files_url}
  tag       curl -X POST {url}/simulator/assign -d '{{"path": "_unsorted/a.jpg", "tags": ["ai:cats"]}}'
  faults    POST {url}/simulator/faults, counters GET {url}/simulator/calls

Paste into the terminal of Flightline:
{exports}

Ctrl-C ends it."""
_MISSING = (
    "flightline simulate nextcloud: wsgidav or cheroot is not installed;"
    " install flightline with the extra `simulate`: pip install 'flightline[simulate]'"
)


def nextcloud(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="The user's home; made if absent, and a temporary one if none is named. Ids and tags are"
            " kept beside it, in .FOLDER.nextcloud.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any.")] = 8080,
    user: Annotated[str, typer.Option(help="The user.")] = "test-user",
    password: Annotated[str, typer.Option(help="The user's password.")] = "test-password",  # noqa: S107 - of a simulator
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
) -> None:
    """Be a Nextcloud with WebDAV and system tags, on loopback, until Ctrl-C."""
    try:
        from flightline.nextcloud_simulator import Nextcloud, serving  # noqa: PLC0415 - so that --help is quick
    except ModuleNotFoundError as error:
        typer.echo(_MISSING, err=True)
        raise typer.Exit(2) from error
    try:
        with (
            _place(folder) as place,
            Nextcloud(place, user=user, password=password) as simulated,
            serving(simulated, port) as url,
        ):
            facts = _facts(simulated, url)
            asyncio.run(_told_until_the_end(json.dumps(facts) if as_json else _text(facts)))
    except (ValueError, OSError) as error:
        typer.echo(f"flightline simulate nextcloud: {error}", err=True)
        raise typer.Exit(2) from error


async def _told_until_the_end(text: str) -> None:
    from shared.service.serving import stop_signals  # noqa: PLC0415 - so that --help is quick

    with stop_signals() as stop:
        typer.echo(text)
        await stop.wait()


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="flightline-nextcloud-") as temporary:
        yield Path(temporary) / "home"


def _facts(simulated: Nextcloud, url: str) -> dict[str, Any]:
    files_url = f"{url}/remote.php/dav/files/{simulated.account.user}/"
    return {
        "url": url,
        "files_url": files_url,
        "folder": str(simulated.folder),
        "username": simulated.account.user,
        "password": simulated.account.password,
        "environment": {
            "FLIGHTLINE_WEBDAV_HOST_URL": url,
            "FLIGHTLINE_WEBDAV_URL": files_url,
            "FLIGHTLINE_WEBDAV_USERNAME": simulated.account.user,
            "FLIGHTLINE_WEBDAV_PASSWORD": simulated.account.password,
        },
    }


def _text(facts: dict[str, Any]) -> str:
    exports = "\n".join(f"export {name}={value}" for name, value in facts["environment"].items())
    return _TEXT.format(**facts, exports=exports)
