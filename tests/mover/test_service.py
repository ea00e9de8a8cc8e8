"""The running service: by time, by events, by HTTP, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from flightline.nextcloud_simulator.faults import Rule
from mover.collections import MOVES
from mover.config import Settings
from mover.domain.moves import Move, MoveState
from mover.main import create_app
from mover.resources import SUBSCRIPTIONS
from shared.events import ImageScaled, new_event
from shared.messaging.codec import encode
from shared.messaging.port import Message
from shared.platform import Platform, open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings
from shared.state import Collection
from tests.mover.conftest import FOLDERS, ROOT, UNSORTED, webdav_settings
from tests.support.dav_servers.running import RunningDav
from tests.support.until import until

LONG = timedelta(minutes=10)
LOW = timedelta(milliseconds=20)


@asynccontextmanager
async def running(cloud: RunningDav, home: Path, **settings: Any) -> AsyncIterator[tuple[str, Platform]]:
    """Run the service and yield its address."""
    own = Settings(**{**FOLDERS, "port": 0, "frequency": LONG, "debounce": LOW, **settings})
    async with (
        open_platform(webdav_settings(cloud.place, home), SUBSCRIPTIONS) as platform,
        serving(create_app(own, platform), own) as url,
    ):
        yield url, platform


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def put(cloud: RunningDav, name: str, *tags: str) -> None:
    cloud.stored.put(f"{UNSORTED}/{name}", name.encode())
    if tags:
        cloud.stored.tag(f"{UNSORTED}/{name}", *tags)


async def quiet(cloud: RunningDav, for_s: float = 0.3) -> None:
    """Wait until the server is asked for nothing more."""
    assert cloud.simulator is not None
    before = -1
    while cloud.simulator.calls.total() != before or before == 0:
        before = cloud.simulator.calls.total()
        await asyncio.sleep(for_s)


async def answered(url: str, path: str, method: str = "GET", status: int = 200) -> Any:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status, answer.text
    return answer.json()


def scaled(**more: Any) -> Message:
    data = {
        "source": "davs://cloud/raw/a.jpg",
        "target": "davs://cloud/data/AI/_unsorted/a.jpg",
        "scale": 2.0,
        "width": 2,
        "height": 2,
        "sha256": "0" * 64,
    }
    return encode(new_event("flightline/scaler", ImageScaled.model_validate({**data, **more})))


async def test_defect_one_shot_it_sorts_at_the_start_and_then_every_so_often(
    nextcloud: RunningDav, home: Path
) -> None:
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home, frequency=timedelta(milliseconds=200)):
        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg"})
        put(nextcloud, "b.jpg", "ai:cats")
        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg", "cats/b.jpg"})


async def test_a_scaled_image_makes_it_look_at_once(nextcloud: RunningDav, home: Path) -> None:
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home) as (_, platform):
        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg"})
        put(nextcloud, "b.jpg", "ai:cats")

        await platform.transport.publish(scaled())

        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg", "cats/b.jpg"})


async def test_a_burst_of_scaled_images_is_one_look(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home, debounce=timedelta(seconds=1)) as (_, platform):
        await quiet(nextcloud)
        nextcloud.simulator.calls.clear()
        put(nextcloud, "b.jpg", "ai:cats")

        for number in range(30):
            await platform.transport.publish(scaled(sha256=f"{number:064x}"))

        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg", "cats/b.jpg"})
        await quiet(nextcloud)
    assert nextcloud.simulator.calls["MOVE"] == 1
    assert nextcloud.simulator.calls["PROPFIND"] <= 4


async def test_an_image_of_a_flight_is_none_of_its_business(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home) as (_, platform):
        await quiet(nextcloud)
        nextcloud.simulator.calls.clear()

        await platform.transport.publish(scaled(flight_id="meadow"))

        await asyncio.sleep(0.5)
    assert nextcloud.simulator.calls["PROPFIND"] == 0


async def test_somebody_may_ask_for_a_run(nextcloud: RunningDav, home: Path) -> None:
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home) as (url, _):
        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg"})
        put(nextcloud, "b.jpg", "ai:cats")

        assert await answered(url, "/api/moves/run", "POST", 202) == {"asked": True}

        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg", "cats/b.jpg"})


async def test_a_dry_run_tells_the_plan_and_changes_nothing(nextcloud: RunningDav, home: Path) -> None:
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    async with running(nextcloud, home) as (url, _):
        await quiet(nextcloud)
        put(nextcloud, "a.jpg", "ai:cats")
        put(nextcloud, "b.jpg", "ai:..")

        plan = await answered(url, "/api/moves/run?dry_run=true", "POST")

        assert plan["moves"] == [{"source": f"{UNSORTED}/a.jpg", "target": f"{ROOT}/cats/a.jpg"}]
        assert [left["why"] for left in plan["left"]] == ["invalid-category"]
        assert nextcloud.stored.names(ROOT) == set()


async def test_the_journal_is_listed_filtered_sorted_and_paged(nextcloud: RunningDav, home: Path) -> None:
    for number in range(5):
        put(nextcloud, f"{number}.jpg", "ai:cats" if number % 2 else "ai:dogs")
    put(nextcloud, "x.jpg", "ai:cats", "ai:dogs")
    async with running(nextcloud, home) as (url, _):
        await quiet(nextcloud)

        everything = await answered(url, "/api/moves/")
        left = await answered(url, "/api/moves/?state=left&why=several-categories")
        dogs = await answered(url, "/api/moves/?category=dogs&sort=-name")
        first = await answered(url, "/api/moves/?state=moved&sort=name&limit=3")
        rest = await answered(url, f"/api/moves/?state=moved&sort=name&limit=3&after={first['cursor']}")

    assert len(everything["moves"]) == 6
    assert [(line["name"], line["why"]) for line in left["moves"]] == [("x.jpg", "several-categories")]
    assert [line["name"] for line in dogs["moves"]] == ["4.jpg", "2.jpg", "0.jpg"]
    assert [line["name"] for line in first["moves"] + rest["moves"]] == [f"{n}.jpg" for n in range(5)]


async def test_its_status_tells_the_last_run_and_no_password(nextcloud: RunningDav, home: Path) -> None:
    put(nextcloud, "a.jpg", "ai:cats")
    async with running(nextcloud, home) as (url, _):
        await quiet(nextcloud)
        status = await answered(url, "/api/moves/status")

    assert status["configured"]
    assert (status["root"], status["unsorted"], status["parent"]) == (ROOT, UNSORTED, "ai")
    assert status["last"]["moved"] == 1
    assert nextcloud.place.password.get_secret_value() not in str(status)


async def test_trouble_is_told_and_asking_tries_again_at_once(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    put(nextcloud, "a.jpg", "ai:cats")
    nextcloud.simulator.faults.add(Rule(kind="html", method="PROPFIND", times=None))
    async with running(nextcloud, home) as (url, _):
        async with asyncio.timeout(15):
            while not (status := await answered(url, "/api/moves/status"))["trouble"]:
                await asyncio.sleep(0.05)
        assert status["failures"] == 1
        nextcloud.simulator.faults.clear()

        await answered(url, "/api/moves/run", "POST", 202)

        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg"})


async def test_a_restart_tries_again_at_once(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    put(nextcloud, "a.jpg", "ai:cats")
    nextcloud.simulator.faults.add(Rule(method="PROPFIND", status=401, times=None))
    async with running(nextcloud, home):
        await quiet(nextcloud)
    nextcloud.simulator.faults.clear()

    async with running(nextcloud, home):
        await until(lambda: nextcloud.stored.names(ROOT) == {"cats/a.jpg"})


async def test_scaled_images_do_not_hammer_a_server_in_trouble(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    nextcloud.simulator.account.change_password("another")
    async with running(nextcloud, home) as (_, platform):
        calls = nextcloud.simulator.calls
        await quiet(nextcloud)
        calls.clear()
        for number in range(5):
            await platform.transport.publish(scaled(sha256=f"{number:064x}"))
            await asyncio.sleep(0.1)

        assert calls.total() == 0


async def test_without_any_configuration_it_is_ready_and_says_what_is_missing(tmp_path: Path) -> None:
    own = Settings(port=0)
    async with (
        open_platform(webdav_settings_of_nobody(tmp_path), SUBSCRIPTIONS) as platform,
        serving(create_app(own, platform), own) as url,
    ):
        assert (await answered(url, "/readyz"))["status"] == "ready"
        assert await answered(url, "/api/moves/status") == {
            "configured": False,
            **dict.fromkeys(("server", "root", "unsorted", "parent", "last", "trouble")),
            "failures": 0,
        }
        refused = await answered(url, "/api/moves/run", "POST", 409)
        assert "MOVER_IMAGES_ROOT_DIR" in refused["error"]["message"]
        refused = await answered(url, "/api/moves/run?dry_run=true", "POST", 400)
        assert "MOVER_IMAGES_ROOT_DIR" in refused["error"]["message"]


async def test_half_a_configuration_names_what_is_missing(tmp_path: Path) -> None:
    own = Settings(port=0, images_root_dir="x", unsorted_remote_dir="y")
    async with (
        open_platform(webdav_settings_of_nobody(tmp_path), SUBSCRIPTIONS) as platform,
        serving(create_app(own, platform), own) as url,
    ):
        async with asyncio.timeout(30):
            while not (status := await answered(url, "/api/moves/status"))["trouble"]:
                await asyncio.sleep(0.02)
        assert "FLIGHTLINE_WEBDAV_HOST_URL" in status["trouble"]


async def test_its_token_is_needed_where_there_is_one(nextcloud: RunningDav, home: Path) -> None:
    nextcloud.stored.put(f"{UNSORTED}/.keep", b"")
    async with running(nextcloud, home, token=SecretStr("a token")) as (url, _):
        for method, path in (
            ("GET", "/api/moves/"),
            ("GET", "/api/moves/status"),
            ("POST", "/api/moves/run"),
        ):
            await answered(url, path, method, 401)


async def test_told_to_end_it_finishes_the_moves_in_hand(nextcloud: RunningDav, home: Path) -> None:
    assert nextcloud.simulator is not None
    for number in range(40):
        put(nextcloud, f"{number}.jpg", "ai:cats")
    nextcloud.simulator.faults.add(Rule(kind="delay", method="MOVE", seconds=0.3, times=None))
    async with running(nextcloud, home, moves_at_once=2) as (_, platform):
        await until(lambda: nextcloud.simulator is not None and nextcloud.simulator.calls["MOVE"] > 0)
    moved = nextcloud.stored.names(ROOT)
    async with open_platform(webdav_settings(nextcloud.place, home), ()) as platform:
        await platform.store.declare(MOVES)
        page = await Collection(platform.store, MOVES, Move).find({}, limit=100)

    assert 0 < len(moved) < 40
    assert {line.body.state for line in page.items} == {MoveState.MOVED}
    assert all(nextcloud.stored.tags_of(f"{ROOT}/{name}") == set() for name in moved)


def webdav_settings_of_nobody(tmp_path: Path) -> PlatformSettings:
    """Return settings that name no server."""
    return PlatformSettings(home=tmp_path / "home")
