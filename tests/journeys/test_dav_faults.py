"""Scaler and mover as processes, on a bad day: whatever a server or a proxy says, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flightline.nextcloud_simulator.answers import RefusedError
from tests.support.dav_proxy import (
    GARBAGE,
    HTML,
    Cut,
    Drop,
    Duplicate,
    Meanwhile,
    Respond,
    Rule,
    wrong_length,
)
from tests.support.dav_scenes import (
    RAW,
    UNSORTED,
    Scene,
    check_all_scaled,
    check_all_sorted,
    check_none_lost,
    check_none_missing,
    digest,
    opened_scene,
    photo,
    put_originals,
    put_tagged,
    scaled,
)
from tests.support.dav_servers import KINDS
from tests.support.zygote import Zygote

TRY_LATER = 75
IN_PART = 3
UPLOAD = r"/_unsorted/(\.flightline-new|20)"
"""A scaled image on its way, under a temporary name or its own."""
long = pytest.mark.long


@pytest.fixture(params=["wsgidav", *(pytest.param(kind, marks=long) for kind in KINDS if kind != "wsgidav")])
def scene(request: pytest.FixtureRequest, parent: Zygote, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene(request.param, parent, tmp_path) as opened:
        yield opened


@pytest.fixture
def on_nextcloud(parent: Zygote, tmp_path: Path) -> Iterator[Scene]:
    with opened_scene("nextcloud", parent, tmp_path) as opened:
        yield opened


def replaced(scene: Scene, name: str, content: bytes) -> Callable[[], None]:
    """Return what replaces a photo by another one."""

    def replace() -> None:
        scene.server.stored.put(f"{RAW}/{name}", content)

    return replace


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "_raw/Unknown 1 "),
        ("GET", "_raw/Unknown 1 "),
        ("MOVE", "_unsorted/20"),
        ("PUT", UPLOAD),
    ],
)
def test_given_an_original_that_is_replaced_while_it_is_scaled_then_the_new_one_is_scaled_too(
    scene: Scene, method: str, path: str
) -> None:
    if method == "MOVE" and scene.server.kind == "nextcloud":
        pytest.skip("there it is written under its own name at once")
    originals = put_originals(scene, 1)
    (name,) = originals
    scene.proxy.add(Rule(Meanwhile(replaced(scene, name, photo(99))), method=method, path=path))

    scene.once("scaler")
    check_none_lost(scene, {name: photo(99)})
    scene.until_quiet("scaler", state="b")

    made = {digest(one) for one in scene.lying(UNSORTED).values()}
    assert scene.lying(RAW) == {}
    assert digest(scaled(photo(99))) in made
    assert made <= {digest(scaled(photo(99))), digest(scaled(originals[name]))}


def test_given_each_image_with_a_trouble_of_its_own_then_all_are_scaled_once_at_the_end(scene: Scene) -> None:
    originals = put_originals(scene, *range(1, 7))
    scene.proxy.add(
        Rule(Respond(423), method="DELETE", path="_raw/Unknown 1 "),
        Rule(Drop("answer"), method="DELETE", path="_raw/Unknown 2 "),
        Rule(Cut("answer", 100), method="GET", path="_raw/Unknown 3 "),
        Rule(wrong_length(7), method="GET", path="_raw/Unknown 4 "),
        Rule(Duplicate(), method="DELETE", path="_raw/Unknown 5 "),
        Rule(HTML, method="PROPFIND", path="_raw/Unknown 6 "),
    )

    assert scene.once("scaler") == TRY_LATER
    check_none_lost(scene, originals)

    scene.wait_until_old()
    scene.until_quiet("scaler", state="b")
    check_all_scaled(scene, originals)


@pytest.mark.parametrize(
    "fault",
    [
        Respond(507),
        Drop("request"),
        Cut("request", 200),
        Respond(503, headers={"Retry-After": "1"}),
        HTML,
    ],
)
@pytest.mark.long
def test_given_a_server_that_takes_no_upload_then_originals_stay(
    scene: Scene, fault: Respond | Drop | Cut
) -> None:
    originals = put_originals(scene, 1, 2)
    scene.proxy.add(Rule(fault, method="PUT", path=UPLOAD, nth=None))

    assert scene.once("scaler") == TRY_LATER
    assert scene.lying(RAW) == originals

    scene.proxy.clear()
    scene.wait_until_old()
    scene.until_quiet("scaler", state="b")
    check_all_scaled(scene, originals)


@pytest.mark.long
@pytest.mark.parametrize("fault", [Drop("answer"), Respond(502, after_work=True), Duplicate()])
def test_given_uploads_of_which_nobody_hears_then_no_image_is_lost_or_doubled(
    scene: Scene, fault: Drop | Respond | Duplicate
) -> None:
    originals = put_originals(scene, 1, 2)
    scene.proxy.add(Rule(fault, method="PUT", path=UPLOAD, nth=None))

    assert scene.once("scaler") in (0, TRY_LATER)
    check_none_lost(scene, originals)

    scene.proxy.clear()
    scene.wait_until_old()
    scene.until_quiet("scaler", state="b")
    check_all_scaled(scene, originals)


@pytest.mark.parametrize("page", [HTML, GARBAGE, Respond(207)])
@pytest.mark.long
def test_given_a_page_of_a_proxy_for_a_listing_then_the_folder_is_not_taken_for_empty(
    scene: Scene, page: Respond
) -> None:
    originals = put_originals(scene, 1)
    scene.proxy.add(Rule(page, method="PROPFIND", path="_raw/$", nth=None))

    assert scene.once("scaler") == TRY_LATER
    assert scene.lying(RAW) == originals


def test_given_a_new_password_then_both_stop_and_say_why_and_go_on_with_the_right_one(
    on_nextcloud: Scene,
) -> None:
    scene = on_nextcloud
    originals, sorting = put_originals(scene, 1), put_tagged(scene)
    assert scene.server.simulator is not None
    scene.server.simulator.account.change_password("another")

    scaling, moving = scene.once("scaler"), scene.once("mover")

    assert scaling not in (0, None)
    assert moving not in (0, None)
    assert "app:password" not in scene.told("scaler") + scene.told("mover")
    assert "password" in scene.told("mover")
    check_none_lost(scene, originals)
    check_none_missing(scene, sorting)
    scene.server.simulator.account.change_password("app:password")
    scene.until_quiet("mover", state="b")
    check_all_sorted_but_scaled(scene)


def check_all_sorted_but_scaled(scene: Scene) -> None:
    """See that the mover went on; what the scaler has to do lies elsewhere."""
    assert "a #1.jpg" in scene.lying("data/AI/organized/cats")
    assert scene.lying(RAW) != {}


@pytest.mark.parametrize(
    "fault",
    [
        Rule(Drop("answer"), method="MOVE", nth=None),
        Rule(Respond(502, after_work=True), method="MOVE", nth=None),
        Rule(Respond(423), method="MOVE", path="a #1"),
        Rule(Respond(507), method="MOVE", nth=1),
        Rule(Drop("answer"), method="DELETE", nth=None),
        Rule(Respond(403), method="DELETE", path="relations"),
        Rule(Drop("answer"), method="MKCOL"),
        Rule(Duplicate(), method="MOVE", nth=None),
        Rule(HTML, method="PROPFIND", path="_unsorted/$"),
    ],
)
@pytest.mark.long
def test_given_a_mover_on_a_bad_day_then_nothing_is_missing_and_the_next_run_ends_it(
    fault: Rule, on_nextcloud: Scene
) -> None:
    sorting = put_tagged(on_nextcloud)
    on_nextcloud.proxy.add(fault)

    on_nextcloud.once("mover")
    check_none_missing(on_nextcloud, sorting)

    on_nextcloud.until_quiet("mover", state="b")
    check_all_sorted(on_nextcloud, sorting)


@pytest.mark.long
def test_given_scaler_and_mover_at_once_and_a_user_who_tags_then_all_is_scaled_and_sorted(
    on_nextcloud: Scene,
) -> None:
    scene = on_nextcloud
    originals = put_originals(scene, *range(30, 42))
    serving = [scene.start(name, "--frequency", "0.2s", state=name) for name in ("scaler", "mover")]
    give_up = time.monotonic() + 60
    while len(scene.lying("data/AI/organized")) < len(originals) and time.monotonic() < give_up:
        for name in scene.lying(UNSORTED):
            with suppress(RefusedError):  # it was moved just now
                scene.server.stored.tag(f"{UNSORTED}/{name}", "ai:birds")
        time.sleep(0.1)
    for child in serving:
        child.end()

    made = scene.lying("data/AI/organized/birds")
    assert sorted(map(digest, made.values())) == sorted(digest(scaled(one)) for one in originals.values())
    assert scene.lying(RAW) == scene.lying(UNSORTED) == {}
    assert all(scene.server.stored.tags_of(f"data/AI/organized/birds/{name}") == set() for name in made)
