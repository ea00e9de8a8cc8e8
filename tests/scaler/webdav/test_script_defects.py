"""What the script that scaler replaces did wrong; each defect by its name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from scaler.config import Settings
from scaler.domain.constants import ScalerConstants
from scaler.domain.naming import scaled_name
from scaler.domain.raw_images import ImageState
from shared.constants import parse_constant
from shared.constants.constant import Constant
from tests.scaler.pictures import HEIGHT, WIDTH, exif_of, jpeg, size_of
from tests.scaler.webdav.conftest import RAW, UNSORTED, InThreads, raw, scaled, scaling
from tests.support.dav_proxy import GARBAGE, HTML, Cut, DavProxy, Respond, Rule, dav_proxy
from tests.support.dav_servers import RunningDav, running_dav

LONG_AGO = datetime(2026, 3, 12, 10, 15, 30, tzinfo=UTC)


@pytest.fixture
def wsgidav() -> Iterator[RunningDav]:
    """Run a server that shows half a file while it is written."""
    with running_dav("wsgidav") as server:
        yield server


@pytest.fixture
def proxy(wsgidav: RunningDav) -> Iterator[DavProxy]:
    """Run a proxy in front of it."""
    with dav_proxy(wsgidav.address) as proxy:
        yield proxy


def put(server: RunningDav, name: str, content: bytes) -> None:
    """Put a file into the raw folder that was written long ago."""
    server.stored.put(f"{RAW}/{name}", content)
    seconds = LONG_AGO.timestamp()
    os.utime(server.folder / RAW / name, (seconds, seconds))


def expected_name(name: str, content: bytes) -> str:
    return scaled_name(name, sha256(content).hexdigest(), LONG_AGO, "jpeg")


def test_it_looks_every_thirty_seconds_as_its_readme_says_not_three_hundred() -> None:
    assert Settings().frequency == timedelta(seconds=30)


@pytest.mark.parametrize("answer", [HTML, GARBAGE, Respond(207), Respond(502)])
async def test_an_answer_that_is_no_listing_is_trouble_and_not_an_empty_folder(
    wsgidav: RunningDav, proxy: DavProxy, home: Path, answer: Respond
) -> None:
    put(wsgidav, "Unknown.jpg", jpeg(1))
    proxy.add(Rule(answer, method="PROPFIND", path=f"{RAW}/?$", nth=None))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.until(lambda: bool(running.mode.session and running.mode.session.look.trouble))
        assert not await running.images()
        proxy.clear()
        running.mode.session.breaker.went_well()  # type: ignore[union-attr]  # checked above
        await running.until(lambda: not raw(wsgidav))


async def test_folders_empty_files_and_files_of_other_kinds_are_not_scaled(
    wsgidav: RunningDav, home: Path
) -> None:
    (wsgidav.folder / RAW / "Unknown folder.jpg").mkdir(parents=True)
    put(wsgidav, "Unknown empty.jpg", b"")
    put(wsgidav, "Unknown letter.pdf", b"%PDF-1.7 " * 100)

    async with scaling(wsgidav, home) as running:
        await running.image(where=lambda image: image.rejected_as == "zero-bytes")
        await running.image(where=lambda image: image.rejected_as == "not-an-image")

    assert raw(wsgidav) == {"Unknown empty.jpg", "Unknown letter.pdf"}
    assert not scaled(wsgidav)


@pytest.mark.parametrize("given", [["Unknown", "IMG_"], '["Unknown", "IMG_"]', "Unknown, IMG_"])
def test_prefixes_may_be_a_list_as_the_readme_shows_or_text_as_the_script_needed(given: object) -> None:
    values = {"RAW_NAMES_PREFIXES": given, "RAW_REMOTE_DIR": "/data/AI/_raw/", "UNSORTED_REMOTE_DIR": "u"}

    read = parse_constant(
        ScalerConstants, "scaler_constants", Constant(values, "1", "here"), prefix="SCALER_"
    )

    assert read is not None
    assert (read.prefixes, read.raw) == (("Unknown", "IMG_"), RAW)


async def test_the_server_root_alone_is_enough_where_it_is_a_nextcloud(
    nextcloud: RunningDav, home: Path
) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    place = nextcloud.place
    settings = {"webdav_url": None, "webdav_host_url": place.host_url}

    async with scaling(nextcloud, home, platform=settings) as running:
        await running.until(lambda: len(scaled(nextcloud)) == 1 and not raw(nextcloud))


async def test_one_slow_image_holds_up_nobody(wsgidav: RunningDav, home: Path) -> None:
    """The script began ten, and the next ten when all of them were done."""
    slow = jpeg(0)
    for number in range(25):
        put(wsgidav, f"Unknown {number}.jpg", jpeg(number))

    codecs = InThreads(held=slow)
    async with scaling(wsgidav, home, codecs) as running:
        await running.until(lambda: raw(wsgidav) == {"Unknown 0.jpg"})
        codecs.release.set()
        await running.until(lambda: not raw(wsgidav))


async def test_the_result_is_of_the_same_format_with_its_name_time_and_exif(
    wsgidav: RunningDav, home: Path
) -> None:
    """The script made a PNG, five times as large, of another name and without metadata."""
    content = jpeg(1)
    put(wsgidav, "Unknown 1.jpg", content)

    async with scaling(wsgidav, home) as running:
        await running.until(lambda: not raw(wsgidav))

    (name,) = scaled(wsgidav)
    result = wsgidav.stored.get(f"{UNSORTED}/{name}")
    assert name == expected_name("Unknown 1.jpg", content)
    assert size_of(result) == (2 * WIDTH, 2 * HEIGHT)
    assert exif_of(result) == exif_of(content)


async def test_images_of_one_name_and_second_do_not_overwrite_each_other(
    wsgidav: RunningDav, home: Path
) -> None:
    contents = [jpeg(number) for number in range(3)]

    async with scaling(wsgidav, home) as running:
        for content in contents:
            put(wsgidav, "Unknown.jpg", content)
            await running.until(lambda: not raw(wsgidav))

    assert scaled(wsgidav) == {expected_name("Unknown.jpg", content) for content in contents}


async def test_a_file_of_somebody_else_at_the_name_stays_and_the_result_gets_another(
    wsgidav: RunningDav, home: Path
) -> None:
    content = jpeg(1)
    name = expected_name("Unknown.jpg", content)
    wsgidav.stored.put(f"{UNSORTED}/{name}", b"somebody else's")
    put(wsgidav, "Unknown.jpg", content)

    async with scaling(wsgidav, home) as running:
        await running.until(lambda: not raw(wsgidav))

    assert wsgidav.stored.get(f"{UNSORTED}/{name}") == b"somebody else's"
    assert scaled(wsgidav) == {name, name.replace(".jpg", "-2.jpg")}


async def test_a_bad_image_is_rejected_once_and_stays_until_it_changes(
    wsgidav: RunningDav, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script failed on it again every round, and left a file of its own behind each time."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    put(wsgidav, "Unknown.jpg", jpeg(1)[:-100])
    codecs = InThreads()

    async with scaling(wsgidav, home, codecs) as running:
        image = await running.image(where=lambda image: image.state is ImageState.REJECTED)
        looked = running.mode.session.look.at  # type: ignore[union-attr]  # it is at work
        await running.until(lambda: running.mode.session.look.at > looked + timedelta(seconds=0.5))  # type: ignore[union-attr, operator]
        assert (image.rejected_as, codecs.scaled, raw(wsgidav)) == ("truncated", 1, {"Unknown.jpg"})
        wsgidav.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
        await running.until(lambda: not raw(wsgidav))

    assert len(scaled(wsgidav)) == 1
    assert not list((tmp_path / "work").iterdir())


async def test_an_upload_that_was_cut_does_not_count(
    wsgidav: RunningDav, proxy: DavProxy, home: Path
) -> None:
    """The script looked at neither size nor hash of what was stored, and deleted the original."""
    put(wsgidav, "Unknown.jpg", jpeg(1))
    proxy.add(Rule(Cut("request", 500), method="PUT", path="flightline-new", nth=None))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.image(where=lambda image: image.attempt > 0)
        assert raw(wsgidav) == {"Unknown.jpg"}
        assert not [name for name in scaled(wsgidav) if not name.startswith(".flightline-")]


async def test_an_original_that_was_replaced_meanwhile_is_not_deleted(
    wsgidav: RunningDav, home: Path
) -> None:
    first, second = jpeg(1), jpeg(2)
    put(wsgidav, "Unknown.jpg", first)
    codecs = InThreads(held=first)

    async with scaling(wsgidav, home, codecs) as running:
        await codecs.begun.wait()
        wsgidav.stored.put(f"{RAW}/Unknown.jpg", second)
        codecs.release.set()
        await running.until(lambda: not raw(wsgidav))

    (name,) = scaled(wsgidav)
    assert sha256(second).hexdigest()[:12] in name


async def test_the_original_that_is_replaced_behind_the_upload_is_not_deleted(
    wsgidav: RunningDav, proxy: DavProxy, home: Path
) -> None:
    first, second = jpeg(1), jpeg(2)
    put(wsgidav, "Unknown.jpg", first)
    proxy.add(Rule(Respond(423), method="DELETE", path=RAW))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.image(where=lambda image: image.attempt > 0)
        wsgidav.stored.put(f"{RAW}/Unknown.jpg", second)
        await running.until(lambda: not raw(wsgidav))

    assert len(scaled(wsgidav)) == 2


@pytest.mark.parametrize("status", [423, 429, 500, 503, 507])
async def test_trouble_of_the_server_passes_and_ends_nothing(
    wsgidav: RunningDav, proxy: DavProxy, home: Path, status: int
) -> None:
    """In the script, a locked file or a full server ended the thread."""
    for number in range(2):
        put(wsgidav, f"Unknown {number}.jpg", jpeg(number))
    proxy.add(Rule(Respond(status), method="PUT", path="flightline-new"))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        late = await running.image(where=lambda image: image.attempt == 1)
        assert late.error
        await running.until(lambda: len(raw(wsgidav)) == 1 or status == 507)
        assert late.name in raw(wsgidav)


async def test_a_copy_that_was_stored_before_a_crash_is_found_and_not_made_again(
    wsgidav: RunningDav, home: Path, tmp_path: Path
) -> None:
    content = jpeg(1)
    put(wsgidav, "Unknown.jpg", content)
    async with scaling(wsgidav, home) as running:
        await running.until(lambda: not raw(wsgidav))
    (name,) = scaled(wsgidav)
    before = (wsgidav.folder / UNSORTED / name).stat()
    put(wsgidav, "Unknown.jpg", content)

    async with scaling(wsgidav, tmp_path / "another home") as running:
        await running.until(lambda: not raw(wsgidav))

    after = (wsgidav.folder / UNSORTED / name).stat()
    assert scaled(wsgidav) == {name}
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_it_ends_while_the_server_is_away(home: Path, wsgidav: RunningDav, proxy: DavProxy) -> None:
    """The script slept for three minutes, whoever told it to end."""
    proxy.add(Rule(Respond(503), nth=None))

    async with scaling(wsgidav, home, place=wsgidav.at(proxy.url)) as running:
        await running.until(lambda: bool(running.mode.session and running.mode.session.look.trouble))
        async with asyncio.timeout(30):
            await running.mode.stop()
