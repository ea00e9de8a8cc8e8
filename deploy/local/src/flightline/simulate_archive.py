"""``flightline simulate archive``: an archive of frames on this machine, with a portal and Gaia's stars."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flightline.archive_simulator import ArchiveSimulator

_USER, _PASSWORD, _TOKEN = "demo", "demo", "demo-token"
_TEXT = """Science archive (simulated) at {url}
  frames    {count} in {folder}; GET {url}/frames/?limit=100
  portal    {url}/portal/api/, user {user}, password {password}, token {token}
{about}
Paste into the terminal of datalab:
{exports}

Ctrl-C ends it."""
_ABOUT = """  Gaia      {url}/tap
  series    0001 to 0012 in rp; 0013 gp, 0014 ip, 0015 zs; 0016 beside them; 0017 is {user}'s alone
  raw       bias 0018 to 0020, dark 0021 to 0023, flat 0024 to 0026, a raw image 0027
  variable  {variable}, period {period_d} d
  asteroid  {asteroid}
  cluster   {cluster}
"""


def archive(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="FITS files to serve; a night is made up in an empty one, and in a temporary one if none"
            " is named.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any.")] = 8910,
    size: Annotated[int, typer.Option(min=256, max=4096, help="Pixels of a made-up frame's side.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same sky.")] = 0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what there is as one line of JSON.")] = False,
) -> None:
    """Be a science archive with frames, an observation portal and Gaia's stars, on loopback, until Ctrl-C."""
    from flightline.archive_simulator import ArchiveSimulator  # noqa: PLC0415 - so that --help is quick
    from flightline.simulate_tapis import check_free  # noqa: PLC0415

    simulated = ArchiveSimulator()
    try:
        check_free(port)
        with _place(folder) as place:
            _fill(simulated, place, size, seed)
            asyncio.run(_serve(simulated, place, port, as_json=as_json))
    except (ValueError, OSError) as error:
        typer.echo(f"flightline simulate archive: {error}", err=True)
        raise typer.Exit(2) from error


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="flightline-archive-") as temporary:
        yield Path(temporary)


def _fill(simulated: ArchiveSimulator, place: Path, size: int, seed: int) -> None:
    from flightline.archive_simulator.folders import add_frames, is_empty, make_night  # noqa: PLC0415
    from flightline.archive_simulator.night import PROPOSAL, Night  # noqa: PLC0415

    if is_empty(place):
        make_night(place, Night(size, seed), _teller())
    add_frames(simulated, place)
    simulated.users[_TOKEN] = frozenset({PROPOSAL})
    simulated.passwords[_USER] = (_PASSWORD, _TOKEN)


def _teller() -> Callable[[int, int], None]:
    """Return what says once that frames are made."""

    def tell(done: int, total: int) -> None:
        if done == 1:
            typer.echo(f"Making {total} frames of a made-up night", err=True)

    return tell


async def _serve(simulated: ArchiveSimulator, place: Path, port: int, *, as_json: bool) -> None:
    from flightline.archive_simulator import serving_archive  # noqa: PLC0415
    from shared.service.serving import stop_signals  # noqa: PLC0415

    with stop_signals() as stop:
        async with serving_archive(simulated, port):
            facts = _facts(simulated, place)
            typer.echo(json.dumps(facts) if as_json else _text(facts))
            await stop.wait()


def _facts(simulated: ArchiveSimulator, place: Path) -> dict[str, Any]:
    from flightline.archive_simulator.folders import facts_of  # noqa: PLC0415

    url = simulated.url
    environment = {"DATALAB_ARCHIVE_URL": f"{url}/", "DATALAB_PORTAL_URL": f"{url}/portal/api/"}
    if simulated.tap:
        environment["DATALAB_TAP_URL"] = f"{url}/tap"
    return {
        "url": url,
        "folder": str(place),
        "frames": sorted(simulated.frames),
        "user": _USER,
        "password": _PASSWORD,
        "token": _TOKEN,
        "night": facts_of(place),
        "environment": environment,
    }


def _text(facts: dict[str, Any]) -> str:
    exports = "\n".join(f"export {name}={value}" for name, value in facts["environment"].items())
    night = {name: json.dumps(value) for name, value in facts["night"].items()}
    about = _ABOUT.format(**facts | night) if night else ""
    return _TEXT.format(**facts, count=len(facts["frames"]), about=about, exports=exports)
