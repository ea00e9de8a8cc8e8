"""The mode as a whole: configured or not, paused, in trouble, and with constants that change."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from scaler.config import Settings
from scaler.domain.raw_images import ImageState
from scaler.webdav.breaker import FULL_FOR_S, REFUSED_FOR_S, Breaker
from shared.dav import FullError, RefusedError
from shared.errors import TransientError
from shared.settings import PlatformSettings
from tests.scaler.pictures import jpeg
from tests.scaler.webdav.conftest import (
    LOOKED_EVERY,
    RAW,
    UNSORTED,
    opened,
    raw,
    running,
    scaled,
    scaler_settings,
    scaling,
    webdav_settings,
)
from tests.support.dav_servers import RunningDav


async def test_where_nothing_is_configured_it_is_off_and_ends_at_once(home: Path) -> None:
    from_nowhere = scaler_settings(raw_names_prefixes=None, raw_remote_dir=None, unsorted_remote_dir=None)

    async with opened(PlatformSettings(home=home), from_nowhere) as one:
        async with asyncio.timeout(30):
            await one.mode.run()
        assert (one.mode.plan, one.mode.trouble) == (None, None)


async def test_it_can_be_switched_off_whatever_the_constants_say(
    home: Path, tmp_path: Path, nextcloud: RunningDav
) -> None:
    constants = tmp_path / "constants.json"
    write(constants, nextcloud)
    settings = PlatformSettings(home=home, constants=f"file:{constants}")

    async with opened(settings, scaler_settings(webdav=False)) as one:
        async with asyncio.timeout(30):
            await one.mode.run()
        assert (one.mode.plan, one.mode.trouble) == (None, None)


async def test_half_of_a_configuration_says_what_is_missing(home: Path) -> None:
    async with running(PlatformSettings(home=home), scaler_settings()) as one:
        await one.until(lambda: one.mode.trouble is not None)

    assert "FLIGHTLINE_WEBDAV_URL" in str(one.mode.trouble)


async def test_two_folders_that_are_one_are_refused(home: Path, nextcloud: RunningDav) -> None:
    async with scaling(nextcloud, home, unsorted_remote_dir=f"/{RAW}/") as one:
        await one.until(lambda: one.mode.trouble is not None)

    assert "two folders" in str(one.mode.trouble)


async def test_paused_it_begins_nothing_also_after_a_restart(home: Path, nextcloud: RunningDav) -> None:
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))

    async with opened(webdav_settings(nextcloud.place, home), scaler_settings()) as one:
        await one.mode.switch(is_paused=True)
    async with scaling(nextcloud, home) as one:
        await one.until(lambda: one.mode.is_paused)
        await asyncio.sleep(5 * LOOKED_EVERY.total_seconds())
        assert raw(nextcloud) == {"Unknown.jpg"}
        await one.mode.switch(is_paused=False)
        await one.until(lambda: not raw(nextcloud))


async def test_a_raw_folder_that_is_not_there_is_said_and_waited_for(
    home: Path, nextcloud: RunningDav
) -> None:
    async with scaling(nextcloud, home) as one:
        await one.until(lambda: bool(one.mode.session and one.mode.session.look.trouble))
        assert f"there is no folder {RAW}" in str(one.mode.session and one.mode.session.look.trouble)
        nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
        await one.until(lambda: len(scaled(nextcloud)) == 1 and not raw(nextcloud))


async def test_a_login_that_is_refused_is_not_tried_again_before_the_constants_change(
    home: Path, tmp_path: Path, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator
    nextcloud.stored.put(f"{RAW}/Unknown.jpg", jpeg(1))
    constants = tmp_path / "constants.json"
    write(constants, nextcloud, password="old")
    settings = PlatformSettings(
        home=home, constants=f"file:{constants}", constants_refresh=timedelta(milliseconds=200)
    )

    async with running(settings, from_constants()) as one:
        await one.until(lambda: bool(one.mode.session and one.mode.session.breaker.trouble))
        asked = nextcloud.simulator.calls.total()
        await asyncio.sleep(1)
        assert nextcloud.simulator.calls.total() == asked
        write(constants, nextcloud)
        await one.until(lambda: not raw(nextcloud))

    assert len(scaled(nextcloud)) == 1


async def test_constants_that_change_count_without_a_restart(
    home: Path, tmp_path: Path, nextcloud: RunningDav
) -> None:
    nextcloud.stored.put(f"{RAW}/Other.jpg", jpeg(1))
    constants = tmp_path / "constants.json"
    write(constants, nextcloud)
    settings = PlatformSettings(
        home=home, constants=f"file:{constants}", constants_refresh=timedelta(milliseconds=200)
    )

    async with running(settings, from_constants()) as one:
        await one.until(lambda: bool(one.mode.session and one.mode.session.look.at))
        assert raw(nextcloud) == {"Other.jpg"}
        write(constants, nextcloud, RAW_NAMES_PREFIXES='["Other"]')
        await one.until(lambda: not raw(nextcloud))


async def test_what_a_setting_says_wins_over_the_constants(
    home: Path, tmp_path: Path, nextcloud: RunningDav
) -> None:
    constants = tmp_path / "constants.json"
    write(constants, nextcloud)
    settings = PlatformSettings(home=home, constants=f"file:{constants}")

    async with opened(settings, scaler_settings(raw_names_prefixes=("IMG_",), raw_remote_dir=None)) as one:
        plan = await one.mode.plans.current()

    assert plan is not None
    assert (plan.prefixes, plan.raw, plan.unsorted) == (("IMG_",), RAW, UNSORTED)


def from_constants() -> Settings:
    return scaler_settings(raw_names_prefixes=None, raw_remote_dir=None, unsorted_remote_dir=None)


def write(file: Path, server: RunningDav, *, password: str | None = None, **changed: object) -> None:
    """Write constants as the user's document has them."""
    place = server.place
    document = {
        "webdav": {
            "host_url": place.host_url,
            "url": place.url,
            "username": place.username,
            "password": password or place.password.get_secret_value(),
        },
        "scaler_constants": {
            "RAW_NAMES_PREFIXES": ["Unknown"],
            "RAW_REMOTE_DIR": RAW,
            "UNSORTED_REMOTE_DIR": UNSORTED,
            **changed,
        },
    }
    growing = file.with_suffix(".growing")
    growing.write_text(json.dumps(document))
    growing.replace(file)


async def test_a_full_server_is_not_written_to_for_a_while_and_originals_stay(
    home: Path, nextcloud: RunningDav
) -> None:
    assert nextcloud.simulator
    nextcloud.stored.put(f"{RAW}/Other.jpg", jpeg(9))

    async with scaling(nextcloud, home, transfers_at_once=1) as one:
        await one.until(lambda: bool(one.mode.session and one.mode.session.look.at))
        nextcloud.simulator.tree.quota_bytes = 1
        for number in range(3):
            nextcloud.stored.put(f"{RAW}/Unknown {number}.jpg", jpeg(number))
        await one.until(lambda: bool(one.mode.session and one.mode.session.breaker.is_closed))
        late = await one.image(where=lambda image: image.attempt > 0)
        waiting = await one.images(state=ImageState.WAITING)

    assert len(raw(nextcloud)) == 4
    assert not scaled(nextcloud)
    assert len(waiting) == 3
    assert "full" in str(late.error)


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("error", "closed_s"),
    [(RefusedError("no", is_login=True), REFUSED_FOR_S), (FullError("full"), FULL_FOR_S)],
)
def test_a_refusal_or_a_full_server_closes_at_once(error: TransientError, closed_s: float) -> None:
    clock = Clock()
    breaker = Breaker(clock)

    breaker.went_wrong(error)

    clock.now_s += closed_s - 1
    assert (breaker.is_closed, breaker.trouble) == (True, str(error))
    clock.now_s += 2
    assert not breaker.is_closed
    breaker.went_well()
    assert breaker.trouble is None


def test_one_failure_is_an_images_several_in_a_row_are_the_servers() -> None:
    clock = Clock()
    breaker = Breaker(clock)

    for _ in range(2):
        breaker.went_wrong(TransientError("500"))
    assert not breaker.is_closed
    breaker.went_wrong(TransientError("500"))
    assert breaker.is_closed
    clock.now_s += 10
    assert not breaker.is_closed


def test_a_server_that_says_when_is_left_alone_until_then() -> None:
    breaker = Breaker(clock := Clock())

    breaker.went_wrong(TransientError("429", retry_after=timedelta(seconds=60)))

    clock.now_s += 40
    assert breaker.is_closed
    assert breaker.left <= timedelta(seconds=40)
