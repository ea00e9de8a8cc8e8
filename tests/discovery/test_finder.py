from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from discovery.collections import FLIGHTS
from discovery.domain.flights import Flight, FlightState
from discovery.finder import Finder
from discovery.loops import settle_flights
from shared.errors import NotFoundError
from shared.events import FlightFound, FlightOptions
from shared.messaging.background import background
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.sources import open_sources
from shared.state import Collection
from tests.discovery.conftest import JPEG, SETTLE, relayed
from tests.support.listening import heard


async def ask(finder: Finder, folder: Path, options: FlightOptions | None = None) -> list[Flight]:
    return await finder.ask(await finder.find(folder.as_uri()), options or FlightOptions())


async def settled(finder: Finder, root: Path) -> None:
    """Scan, wait until what was found has settled, and scan again."""
    await finder.scan(root.as_uri())
    await asyncio.sleep(SETTLE.total_seconds())
    await finder.scan(root.as_uri())


async def told(platform: Platform) -> list[FlightFound]:
    await relayed(platform)
    return [event.data for event in await heard(platform, FlightFound)]


async def test_a_scan_finds_every_flight_of_the_layout(
    finder: Finder, platform: Platform, root: Path
) -> None:
    await settled(finder, root)
    events = await told(platform)

    assert sorted(event.name for event in events) == ["east", "west"]
    assert {(event.image_count, event.images_path.partition("/")[2]) for event in events} == {
        (2, "code/images")
    }


async def test_ten_finders_tell_of_each_version_once(finder: Finder, platform: Platform, root: Path) -> None:
    await finder.scan(root.as_uri())
    await asyncio.sleep(SETTLE.total_seconds())
    async with open_sources(platform.settings) as sources:
        finders = [Finder(Collection(platform.store, FLIGHTS, Flight), sources, SETTLE) for _ in range(10)]
        await asyncio.gather(*(each.scan(root.as_uri()) for each in finders))

    assert sorted(event.name for event in await told(platform)) == ["east", "west"]


async def test_a_flight_that_grows_is_told_of_once_it_has_stopped(
    finder: Finder, platform: Platform, root: Path
) -> None:
    for number in range(4):
        (root / "east" / "code" / "images" / f"late-{number}.jpg").write_bytes(JPEG)
        await settled_except_for_growth(finder, root)
    assert [event.name for event in await told(platform)] == ["west"]

    await settled(finder, root)
    assert [(event.name, event.image_count) for event in await told(platform)] == [("east", 6)]


async def settled_except_for_growth(finder: Finder, root: Path) -> None:
    await asyncio.sleep(SETTLE.total_seconds() * 0.6)
    await finder.scan(root.as_uri())


async def test_new_images_are_a_new_version_of_the_same_flight(
    finder: Finder, platform: Platform, root: Path
) -> None:
    await settled(finder, root)
    (before,) = [event for event in await told(platform) if event.name == "east"]
    (root / "east" / "code" / "images" / "new.jpg").write_bytes(JPEG)
    await settled(finder, root)
    (after,) = await told(platform)

    assert after.flight_id == before.flight_id
    assert (after.version != before.version, after.image_count) == (True, 3)


async def test_a_photograph_in_a_root_hides_no_flight(finder: Finder, platform: Platform, root: Path) -> None:
    (root / "stray.jpg").write_bytes(JPEG)
    await settled(finder, root)

    assert sorted(event.name for event in await told(platform)) == ["east", "west"]


async def test_a_flight_that_cannot_be_read_hides_no_other(finder: Finder, root: Path) -> None:
    shutil.rmtree(root / "east" / "code")
    (root / "east" / "code").symlink_to("/etc")
    (root / "north" / "code").mkdir(parents=True)
    (root / "north" / "code" / "images").touch()

    assert await finder.scan(root.as_uri()) == 1


@pytest.mark.parametrize("below", ["", "code", "code/images"])
async def test_a_flight_is_the_same_from_every_folder_above_it(
    finder: Finder, platform: Platform, root: Path, below: str
) -> None:
    await settled(finder, root)
    assert len(await told(platform)) == 2
    (flight,) = await ask(finder, root / "east" / below)
    await settled(finder, root)

    assert flight.name == "east"
    assert await told(platform) == []


async def test_a_known_flight_is_looked_at_from_where_it_was_found(
    finder: Finder, platform: Platform, root: Path
) -> None:
    (root / "east" / "code" / "gcp_list.txt").write_text("EPSG:32632")
    await ask(finder, root / "east" / "code" / "images")
    await settled(finder, root)
    events = {event.name: event for event in await told(platform)}

    assert events["east"].source == (root / "east" / "code" / "images").as_uri()
    assert events["east"].sidecars == ()


async def test_asking_for_a_folder_without_images_is_told(finder: Finder, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no images in file://"):
        await ask(finder, tmp_path)


async def test_what_was_found_is_asked_for_only_when_wanted(finder: Finder, root: Path) -> None:
    found = await finder.find(root.as_uri())

    assert len(found.flights) == 2
    assert await finder.flights.count({"state": FlightState.SETTLING.value}) == 0


async def test_other_options_run_the_same_version_again(
    finder: Finder, platform: Platform, root: Path
) -> None:
    await finder.settled((await ask(finder, root / "east"))[0])
    options = FlightOptions(skip_processing=True)
    await finder.settled((await ask(finder, root / "east", options))[0])
    first, second = await told(platform)

    assert (first.version, first.rerun, second.rerun) == (second.version, 0, 1)
    assert second.options == options


async def test_images_that_vanish_while_they_settle_are_told(finder: Finder, root: Path) -> None:
    (flight,) = await ask(finder, root / "east")
    for image in (root / "east" / "code" / "images").iterdir():
        image.unlink()

    with pytest.raises(NotFoundError, match="any more"):
        await finder.settled(flight)


async def test_a_vanished_flight_says_why_and_starves_no_other(
    finder: Finder, platform: Platform, root: Path
) -> None:
    (gone,) = await ask(finder, root / "east")
    await ask(finder, root / "west")
    shutil.rmtree(root / "east")
    relay = OutboxRelay(platform.transport, platform.store, [FLIGHTS.name])
    async with background(settle_flights(finder, every=SETTLE), relay.run()):
        events = await heard(platform, FlightFound, at_least=1)

    assert [event.data.name for event in events] == ["west"]
    assert "there is no" in str((await finder.flights.load(gone.flight_id)).body.trouble)


async def test_an_unchanged_flight_is_not_written_again(finder: Finder, root: Path) -> None:
    await settled(finder, root)
    before = {document.id: document.record.revision for document in (await finder.flights.find({})).items}
    await finder.scan(root.as_uri())

    after = {document.id: document.record.revision for document in (await finder.flights.find({})).items}
    assert after == before
