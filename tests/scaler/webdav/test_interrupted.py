"""Broken off anywhere, the work is done once in the end; kills of real processes are in the crash matrix."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scaler.domain.raw_images import ImageState, retried
from tests.scaler.pictures import HEIGHT, WIDTH, jpeg, size_of
from tests.scaler.webdav.conftest import (
    RAW,
    UNSORTED,
    InThreads,
    Running,
    opened,
    raw,
    scaled,
    scaler_settings,
    scaling,
    webdav_settings,
)
from tests.support.dav_proxy import DavProxy, Drop, Respond, Rule, dav_proxy, wrong_length
from tests.support.dav_servers import RunningDav, running_dav
from tests.support.dying import Doom, Dying, KilledError

LEASE = timedelta(milliseconds=300)
"""Short, so that a process that is not really dead is taken for dead soon."""


@pytest.fixture
def wsgidav() -> Iterator[RunningDav]:
    """Run a server with one image."""
    with running_dav("wsgidav") as server:
        server.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
        yield server


@pytest.fixture
def proxy(wsgidav: RunningDav) -> Iterator[DavProxy]:
    """Run a proxy in front of it."""
    with dav_proxy(wsgidav.address) as proxy:
        yield proxy


def only_one(server: RunningDav) -> str:
    """Return the name of the only scaled image; nothing else is there, and it is whole."""
    (name,) = scaled(server)
    assert size_of(server.stored.get(f"{UNSORTED}/{name}")) == (2 * WIDTH, 2 * HEIGHT)
    return name


async def now(running: Running) -> None:
    """Have every image that waits tried now."""
    for document in (await running.mode.images.find({"state": ImageState.WAITING.value})).items:
        await running.mode.images.update(document.id, lambda image: retried(image, datetime.now(UTC)))


@pytest.mark.parametrize(
    ("write", "after"),
    [
        (3, True),
        *(
            pytest.param(write, after, marks=pytest.mark.long)
            for write in (1, 2, 3, 4)
            for after in (False, True)
            if (write, after) != (3, True)
        ),
    ],
)
async def test_ended_at_any_write_of_its_journal_it_does_all_of_it_once(
    wsgidav: RunningDav, home: Path, write: int, after: bool
) -> None:
    settings = scaler_settings(lease=LEASE)
    platform = webdav_settings(wsgidav.place, home)
    async with opened(platform, settings) as doomed:
        doom = Doom(write, after)
        store = Dying(doomed.on.store, doom)
        mode = replace(
            doomed.mode,
            images=type(doomed.mode.images)(
                store,
                doomed.mode.images.spec,
                doomed.mode.images._model,
            ),
        )
        with suppress(KilledError, BaseExceptionGroup):
            await mode.run()
        assert doom.has_come

    async with scaling(wsgidav, home, lease=LEASE) as running:
        await running.until(lambda: not raw(wsgidav))
        await running.image(where=lambda image: image.state in (ImageState.DONE, ImageState.GONE))
        await asyncio.sleep(2 * LEASE.total_seconds())
        told = await running.told()

    only_one(wsgidav)
    assert len({(event.source, event.target, event.sha256) for event in told}) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "flightline-new"), ("MOVE", "flightline-new"), ("DELETE", f"{RAW}/Unknown")]
)
async def test_an_answer_that_is_lost_is_not_work_that_is_lost(
    wsgidav: RunningDav, proxy: DavProxy, home: Path, method: str, path: str
) -> None:
    proxy.add(Rule(Drop("answer"), method=method, path=path))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.image(where=lambda image: image.attempt > 0 or image.state is ImageState.DONE)
        await now(running)
        await running.until(lambda: not raw(wsgidav))
        await running.image(where=lambda image: image.state is ImageState.DONE)
        told = await running.told()

    only_one(wsgidav)
    assert len(told) == 1


async def test_an_image_that_cannot_be_read_as_it_is_listed_is_tried_again_later(
    wsgidav: RunningDav, proxy: DavProxy, home: Path
) -> None:
    proxy.add(Rule(wrong_length(-5), method="GET", path=RAW, nth=None))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        late = await running.image(where=lambda one: one.attempt > 0 and one.state is ImageState.WAITING)
        assert late.due_s > late.updated_at.timestamp() + 2
        proxy.clear()
        await now(running)
        await running.until(lambda: not raw(wsgidav))

    only_one(wsgidav)


async def test_a_copy_that_the_mover_took_on_before_the_original_was_deleted_is_not_made_again(
    wsgidav: RunningDav, proxy: DavProxy, home: Path
) -> None:
    proxy.add(Rule(Respond(423), method="DELETE", path=RAW, nth=None))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.image(where=lambda image: image.attempt > 0)
        wsgidav.stored.remove(f"{UNSORTED}/{only_one(wsgidav)}")
    proxy.clear()
    codecs = InThreads()
    async with scaling(wsgidav, home, codecs, place=wsgidav.at(proxy.url)) as running:
        await now(running)
        await running.until(lambda: not raw(wsgidav))

    assert (scaled(wsgidav), codecs.scaled) == (set(), 0)


async def test_an_original_that_is_put_back_is_scaled_anew(nextcloud: RunningDav, home: Path) -> None:
    """Also where its copy was put back with it: nothing that was noted before a restore counts."""
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    original = nextcloud.folder / RAW / "Unknown.jpg"
    kept = nextcloud.folder / "kept.jpg"
    kept.hardlink_to(original)

    async with scaling(nextcloud, home) as running:
        await running.until(lambda: not raw(nextcloud))
        await running.image(where=lambda image: image.state is ImageState.DONE)
        name = only_one(nextcloud)
        nextcloud.stored.remove(f"{UNSORTED}/{name}")
        kept.rename(original)
        await running.until(lambda: not raw(nextcloud))

    assert only_one(nextcloud) == name


async def test_told_to_end_it_finishes_what_is_in_hand_and_begins_nothing(
    wsgidav: RunningDav, home: Path
) -> None:
    first = jpeg(1)
    codecs = InThreads(held=first)

    async with scaling(wsgidav, home, codecs) as running:
        await codecs.begun.wait()
        ending = asyncio.create_task(running.mode.stop())
        wsgidav.stored.put(f"{RAW}/Unknown 2.jpg", jpeg(2))
        await asyncio.sleep(0.5)
        assert not ending.done()
        codecs.release.set()
        await ending

    assert raw(wsgidav) == {"Unknown 2.jpg"}
    only_one(wsgidav)


async def test_broken_off_in_the_middle_it_gives_the_image_to_others_at_once(
    wsgidav: RunningDav, home: Path
) -> None:
    codecs = InThreads(held=jpeg(1))
    async with scaling(wsgidav, home, codecs, lease=timedelta(hours=1)):
        await codecs.begun.wait()

    assert raw(wsgidav) == {"Unknown.jpg"}
    async with scaling(wsgidav, home) as running:
        await running.until(lambda: not raw(wsgidav))
    for name in scaled(wsgidav):
        if name.startswith(".flightline-probe-"):  # what the server does was still being tried out
            wsgidav.stored.remove(f"{UNSORTED}/{name}")
    only_one(wsgidav)
