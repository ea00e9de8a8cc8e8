"""What sorting takes: requests, seconds and memory; and what asking for each file's tags would take.

    python -m bench.mover [--json] [--files 3000] [--moves 30] [--repeats 3]

The simulated Nextcloud runs in this process; each client in one of its own, in turn. ``ours`` lists with one
request, or is a whole run of the mover with its journal; ``each`` asks for the tags of every file with a
request of its own, ten at a time, and so favours the script that this replaces, which needs two. ``bare`` is
the same one request as ours, whose answer nobody takes apart: what the server takes. Times count from the
open session to the last answer; memory is what the client's process took in all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

import aiohttp
from pydantic import SecretStr

from bench.used import MB, peak_bytes
from flightline.nextcloud_simulator import Nextcloud
from flightline.nextcloud_simulator import serving as serving_nextcloud
from mover.config import Settings
from mover.domain.deciding import Rules
from mover.listing import list_unsorted
from mover.runs import open_runs
from shared.dav import DavPlace, open_dav
from shared.dav.questions import FILES_AND_TAGS
from shared.service.serving import new_event_loop
from shared.settings import PlatformSettings
from shared.state.open import open_store

USER = "anna"
ROOT, UNSORTED = "organized", "_unsorted"
RULES = Rules("ai", ROOT, UNSORTED)
AT_ONCE = 10
FEW = 30
"""Files whose listing takes no memory to speak of."""

Work = Callable[[DavPlace], Awaitable[float]]
"""Returns how many seconds it took."""


def main() -> None:
    """Measure and print; or be one of those that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=sorted(WORKS), help=argparse.SUPPRESS)
    parser.add_argument("--place", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measured_here(WORKS[given.child], given.place)))
        return
    figures = {
        **listings(given.files, given.repeats),
        **runs(given.files, given.moves, given.repeats),
        "load, runnable": os.getloadavg()[0],
    }
    rows = [f"{name:64}{figure:>12,.3f}" for name, figure in figures.items()]
    print(json.dumps(figures, indent=1) if given.json else "\n".join(rows))


def listings(files: int, repeats: int) -> dict[str, float]:
    """Return what knowing the tags of all files takes."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": [], "each": []}
    with nextcloud(FEW, 0) as (_, place):
        few = child("ours", place)
    with nextcloud(files, 0) as (_, place):
        for _ in range(repeats):
            for name, measured in found.items():
                measured.append(child(name, place))
    figures = {
        f"listing {files} files with tags, {name}: {what}": median(measured, key)
        for name, measured in found.items()
        for what, key in {"s": "s", "client CPU, s": "cpu", "peak RSS, MB": "peak"}.items()
    }
    more = median(found["ours"], "peak") - few["peak"]
    return {
        **figures,
        f"listing {files} files, ours: MB more than for {FEW}": more,
        "listing, each over ours": ratio(found["ours"], found["each"], "s"),
        "listing, each over ours: client CPU": ratio(found["ours"], found["each"], "cpu"),
    }


def runs(files: int, moves: int, repeats: int) -> dict[str, float]:
    """Return what a whole run takes, and how much is asked for."""
    found: dict[str, list[dict[str, float]]] = {"run": [], "each-run": []}
    calls: dict[str, int] = {}
    for _ in range(repeats):
        for name, measured in found.items():
            with nextcloud(files, moves) as (simulator, place):
                simulator.calls.clear()
                measured.append(child(name, place))
                calls[name] = simulator.calls.total()
                check(simulator, files, moves)
    return {
        f"run of {files} files, {moves} moves, ours: requests": calls["run"],
        f"run of {files} files, {moves} moves, ours: requests allowed, 2 M + 3": 2 * moves + 3,
        f"run of {files} files, {moves} moves, each: requests": calls["each-run"],
        f"run of {files} files, {moves} moves, ours: s": median(found["run"], "s"),
        f"run of {files} files, {moves} moves, each: s": median(found["each-run"], "s"),
        "run, each over ours": ratio(found["run"], found["each-run"], "s"),
    }


def median(measured: list[dict[str, float]], key: str) -> float:
    """Return the median of a figure."""
    return statistics.median(one[key] for one in measured)


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], key: str) -> float:
    """Return how much more another client took, in the median of pairs that ran one after the other."""
    return statistics.median(their[key] / our[key] for our, their in zip(ours, theirs, strict=True))


@contextmanager
def nextcloud(files: int, moves: int) -> Iterator[tuple[Nextcloud, tuple[str, str]]]:
    """Run a Nextcloud with files of which some have a tag of ours; yield it, its address and a password."""
    with (
        tempfile.TemporaryDirectory() as name,
        Nextcloud(Path(name) / "home", user=USER) as simulator,
        serving_nextcloud(simulator) as url,
    ):
        for folder in (UNSORTED, f"{ROOT}/cats"):
            (simulator.folder / folder).mkdir(parents=True)
        for number in range(files):
            path = f"{UNSORTED}/{number:05}.jpg"
            (simulator.folder / path).write_bytes(b"\xff\xd8 %05d" % number)
            simulator.tag(path, "holiday", *(["ai:cats"] if number < moves else []))
        yield simulator, (f"{url}/remote.php/dav/files/{USER}/", simulator.account.new_app_password())


def check(simulator: Nextcloud, files: int, moves: int) -> None:
    """See that all was done that was to be done."""
    sorted_names = sorted(path.name for path in (simulator.folder / ROOT / "cats").iterdir())
    assert sorted_names == [f"{number:05}.jpg" for number in range(moves)], len(sorted_names)
    assert len(list((simulator.folder / UNSORTED).iterdir())) == files - moves
    assert all(simulator.tags_of(f"{ROOT}/cats/{name}") == {"holiday"} for name in sorted_names)


def child(name: str, place: tuple[str, str]) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.mover", "--child", name, "--place", *place]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return figures


def measured_here(work: Work, given: list[str]) -> dict[str, float]:
    """Return what ``work`` takes by its own account, and what this process took for it."""
    url, password = given
    place = DavPlace(url, USER, SecretStr(password))

    async def counted() -> dict[str, float]:
        began_s = time.process_time()
        seconds = await work(place)
        return {"s": seconds, "cpu": time.process_time() - began_s, "peak": peak_bytes(os.getpid()) / MB}

    with asyncio.Runner(loop_factory=new_event_loop) as runner:  # as services have it
        return runner.run(counted())


async def ours(place: DavPlace) -> float:
    """List as the mover does."""
    async with open_dav(place) as dav:
        began_s = time.perf_counter()
        await list_unsorted(dav, RULES)
        return time.perf_counter() - began_s


async def bare(place: DavPlace) -> float:
    """Ask for the same, and read nothing of it."""
    async with session(place) as http:
        began_s = time.perf_counter()
        async with http.request("PROPFIND", UNSORTED, data=FILES_AND_TAGS, headers={"Depth": "1"}) as answer:
            await answer.read()
        return time.perf_counter() - began_s


async def each(place: DavPlace) -> float:
    """Ask for the tags of each file."""
    async with session(place) as http:
        began_s = time.perf_counter()
        await tags_of_all(http)
        return time.perf_counter() - began_s


async def run(place: DavPlace) -> float:
    """Run the mover once; its journal and schedule are on disk."""
    with tempfile.TemporaryDirectory() as home:
        platform = PlatformSettings(
            home=Path(home), webdav_url=place.url, webdav_username=USER, webdav_password=place.password
        )
        own = Settings(images_root_dir=ROOT, unsorted_remote_dir=UNSORTED, repair_every=timedelta())
        async with open_store(platform.state) as store, open_runs(own, platform, store) as opened:
            began_s = time.perf_counter()
            await opened.now()
            return time.perf_counter() - began_s


async def each_run(place: DavPlace) -> float:
    """Ask for the tags of each file, and move those that have one; no journal, no care."""
    async with session(place) as http:
        began_s = time.perf_counter()
        tagged = await tags_of_all(http)

        async def move(href: str, file_id: str, tag_id: str) -> None:
            target = f"{place.url}{ROOT}/cats/{quote(unquote(href).rpartition('/')[2])}"
            headers = {"Destination": target, "Overwrite": "F"}
            async with http.request("MOVE", href, headers=headers) as answer:
                assert answer.status == 201, answer.status
            url = f"/remote.php/dav/systemtags-relations/files/{file_id}/{tag_id}"
            async with http.delete(url) as answer:
                assert answer.status == 204, answer.status

        await in_turn([partial(move, *one) for one in tagged])
        return time.perf_counter() - began_s


async def tags_of_all(http: aiohttp.ClientSession) -> list[tuple[str, str, str]]:
    """List the folder, then ask for each file; return those of ours: address, file's id, tag's id."""
    async with http.request("PROPFIND", UNSORTED, data=FILES_AND_TAGS, headers={"Depth": "1"}) as answer:
        listed = ET.fromstring(await answer.read())
    hrefs = [href for one in listed.iter("{DAV:}href") if (href := one.text or "").endswith(".jpg")]
    found: list[tuple[str, str, str]] = []

    async def ask(href: str) -> None:
        async with http.request("PROPFIND", href, data=FILES_AND_TAGS, headers={"Depth": "0"}) as answer:
            told = ET.fromstring(await answer.read())
        file_id = told.findtext(".//{http://owncloud.org/ns}fileid") or ""
        found.extend(
            (href, file_id, tag.get("{http://owncloud.org/ns}id") or "")
            for tag in told.iter("{http://nextcloud.org/ns}system-tag")
            if tag.text == "ai:cats"
        )

    await in_turn([partial(ask, href) for href in hrefs])
    return found


async def in_turn(works: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all, some at a time."""
    waiting = iter(works)

    async def work() -> None:
        for one in waiting:
            await one()

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())


@asynccontextmanager
async def session(place: DavPlace) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session with cookies, as the mover's."""
    async with aiohttp.ClientSession(
        base_url=place.url,
        headers={"Authorization": place.authorization},
        cookie_jar=aiohttp.CookieJar(unsafe=True),
    ) as http:
        yield http


WORKS: dict[str, Work] = {"ours": ours, "bare": bare, "each": each, "run": run, "each-run": each_run}

if __name__ == "__main__":
    main()
