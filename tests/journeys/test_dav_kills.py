"""Kill -9 between any two steps: none lost, none doubled, none half written, tags right at the end.

The proxy between a process and its server kills the process before a request reaches the server, in the
middle of an upload, or after the server has done the work and before the process knows.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.support.dav_proxy import Kill, Moment, Rule
from tests.support.dav_scenes import (
    RAW,
    UNSORTED,
    Scene,
    check_all_scaled,
    check_all_sorted,
    check_none_lost,
    check_none_missing,
    opened_scene,
    put_originals,
    put_tagged,
)
from tests.support.dav_servers import KINDS
from tests.support.zygote import Zygote

REQUESTS_AT_MOST = 120
WHEN: tuple[Moment, ...] = ("before", "midway", "after")
CYCLES = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "50"))
"""Of random kills, for each server."""
REQUESTS_OF_A_LIFE = 60
LIFE_AT_MOST_S = 20.0


def scaler_killed(parent: Zygote, state: Path, kind: str, rule: Rule, *, photos: int = 2) -> str | None:
    """Kill a scaler at a request, and let another one finish; return the request's method, if any."""
    with opened_scene(kind, parent, state) as scene:
        originals = put_originals(scene, *range(photos))
        scene.proxy.add(rule)
        if not scene.killed_at("scaler"):
            check_all_scaled(scene, originals)
            return None
        method = scene.proxy.requests[-1].method
        check_none_lost(scene, originals)
        scene.wait_until_old()
        scene.until_quiet("scaler")
        check_all_scaled(scene, originals)
    return method


def mover_killed(parent: Zygote, state: Path, rule: Rule, *, keeps_journal: bool) -> str | None:
    """Kill a mover at a request, and let another one finish, perhaps one that knows nothing of the first."""
    with opened_scene("nextcloud", parent, state) as scene:
        sorting = put_tagged(scene)
        scene.proxy.add(rule)
        if not scene.killed_at("mover"):
            check_all_sorted(scene, sorting)
            return None
        method = scene.proxy.requests[-1].method
        check_none_missing(scene, sorting)
        scene.wait_until_old()
        scene.until_quiet("mover", state="a" if keeps_journal else "b")
        check_none_missing(scene, sorting)
        check_all_sorted(scene, sorting)
    return method


# In the default run: what is worst, on the server where it is worst


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("wsgidav", Rule(Kill("midway"), method="PUT", path=r"\.flightline-new-")),
        ("nextcloud", Rule(Kill("after"), method="PUT", path=r"_unsorted/20.*\.jpg$")),
        ("apache", Rule(Kill("before"), method="DELETE", path="_raw/")),
    ],
)
def test_given_a_scaler_killed_at_its_worst_moments_then_no_image_is_lost_or_doubled(
    kind: str, rule: Rule, parent: Zygote, tmp_path: Path
) -> None:
    assert scaler_killed(parent, tmp_path, kind, rule, photos=1) is not None


@pytest.mark.parametrize(
    ("rule", "keeps_journal"),
    [
        (Rule(Kill("after"), method="MOVE", path=r"organized/cats/a #1.jpg$"), False),
        (Rule(Kill("after"), method="DELETE", path=r"_unsorted/b.jpg$"), True),
    ],
)
def test_given_a_mover_killed_at_its_worst_moments_then_files_and_tags_are_right(
    rule: Rule, parent: Zygote, tmp_path: Path, *, keeps_journal: bool
) -> None:
    assert mover_killed(parent, tmp_path, rule, keeps_journal=keeps_journal) is not None


# The whole matrix


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("kind", KINDS)
def test_given_a_scaler_killed_at_every_request_then_no_image_is_lost_or_doubled(
    kind: str, when: Moment, parent: Zygote, tmp_path: Path
) -> None:
    method = "PUT" if when == "midway" else None
    for nth in range(1, REQUESTS_AT_MOST):
        rule = Rule(Kill(when), method=method, nth=nth)
        if scaler_killed(parent, tmp_path / str(nth), kind, rule) is None:
            break
        shutil.rmtree(tmp_path / str(nth))
    else:
        pytest.fail("there was no end of requests")
    assert nth > (3 if when == "midway" else 20)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("keeps_journal", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_given_a_mover_killed_at_every_request_then_files_and_tags_are_right(
    when: Moment, parent: Zygote, tmp_path: Path, *, keeps_journal: bool
) -> None:
    for nth in range(1, REQUESTS_AT_MOST):
        rule = Rule(Kill(when), nth=nth)
        if mover_killed(parent, tmp_path / str(nth), rule, keeps_journal=keeps_journal) is None:
            break
        shutil.rmtree(tmp_path / str(nth))
    else:
        pytest.fail("there was no end of requests")
    assert nth > 12


# Kills at any moment, of services that serve


def one_life(scene: Scene, chance: random.Random, service: str) -> None:
    """Let a service serve until it is killed: at one of its requests, or at any moment near it."""
    scene.proxy.clear()
    nth, is_at_request = chance.randint(1, REQUESTS_OF_A_LIFE), chance.random() < 0.5
    if is_at_request:
        scene.proxy.add(Rule(Kill(chance.choice(WHEN)), nth=nth))
    child = scene.start(service, "--frequency", "0.1s")
    scene.proxy.victim = child.strike
    give_up = time.monotonic() + LIFE_AT_MOST_S
    while len(scene.proxy.requests) < nth and time.monotonic() < give_up:
        child.is_over(0.01)
    child.is_over(chance.uniform(0, 0.1))
    child.kill()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_given_scalers_killed_again_and_again_then_no_image_is_lost_or_doubled(
    kind: str, parent: Zygote, tmp_path: Path
) -> None:
    chance = random.Random(kind)
    originals: dict[str, bytes] = {}
    with opened_scene(kind, parent, tmp_path) as scene:
        for cycle in range(CYCLES):
            originals |= put_originals(scene, 100 + cycle)
            one_life(scene, chance, "scaler")
            check_none_lost(scene, originals)
        assert len(scene.lying(UNSORTED)) > CYCLES / 5, "they were killed before they did anything"
        scene.wait_until_old()
        scene.until_quiet("scaler")
        check_all_scaled(scene, originals)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_given_movers_killed_again_and_again_then_files_and_tags_are_right(
    parent: Zygote, tmp_path: Path
) -> None:
    chance = random.Random("mover")
    with opened_scene("nextcloud", parent, tmp_path) as scene:
        sorting = put_tagged(scene)
        for cycle in range(CYCLES):
            name, content = f"z{cycle}.jpg", f"content {cycle}".encode()
            scene.server.stored.put(f"{UNSORTED}/{name}", content)
            scene.server.stored.tag(f"{UNSORTED}/{name}", "ai:cats")
            sorting.add(name, content, "cats")
            one_life(scene, chance, "mover")
            check_none_missing(scene, sorting)
        scene.wait_until_old()
        scene.until_quiet("mover")
        check_all_sorted(scene, sorting)


# Two at once


def two_scalers(scene: Scene, states: tuple[str, str], originals: dict[str, bytes]) -> None:
    """Let two serve side by side until nothing is left of the originals."""
    children = [scene.start("scaler", "--frequency", "0.05s", state=state) for state in states]
    give_up = time.monotonic() + 60
    while scene.lying(RAW) and time.monotonic() < give_up:
        check_none_lost(scene, originals)
        time.sleep(0.05)
    for child in children:
        child.end()


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        ("wsgidav", ("a", "b")),
        pytest.param("nextcloud", ("a", "a"), marks=pytest.mark.long),
        pytest.param("nextcloud", ("a", "b"), marks=pytest.mark.long),
        pytest.param("lighttpd", ("a", "b"), marks=pytest.mark.long),
        pytest.param("apache", ("a", "b"), marks=pytest.mark.long),
    ],
)
def test_given_two_scalers_that_know_of_each_other_or_not_then_each_image_is_scaled_once(
    kind: str, states: tuple[str, str], parent: Zygote, tmp_path: Path
) -> None:
    with opened_scene(kind, parent, tmp_path) as scene:
        originals = put_originals(scene, *range(10, 14))
        two_scalers(scene, states, originals)
        scene.wait_until_old()
        scene.until_quiet("scaler")
        check_all_scaled(scene, originals)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("states", [("a", "a"), ("a", "b")], ids=["one-state", "two-states"])
@pytest.mark.parametrize("kind", KINDS)
def test_given_two_scalers_of_which_one_is_killed_again_and_again_then_each_image_is_scaled_once(
    kind: str, states: tuple[str, str], parent: Zygote, tmp_path: Path
) -> None:
    chance = random.Random(kind)
    originals: dict[str, bytes] = {}
    with opened_scene(kind, parent, tmp_path) as scene:
        steady = scene.start("scaler", "--frequency", "0.1s", state=states[1])
        for cycle in range(10):
            originals |= put_originals(scene, 200 + 2 * cycle, 201 + 2 * cycle)
            one_life(scene, chance, "scaler")
            check_none_lost(scene, originals)
        steady.end()
        scene.wait_until_old()
        scene.until_quiet("scaler")
        check_all_scaled(scene, originals)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("states", [("a", "a"), ("a", "b")], ids=["one-state", "two-states"])
def test_given_two_movers_of_which_one_is_killed_again_and_again_then_files_and_tags_are_right(
    states: tuple[str, str], parent: Zygote, tmp_path: Path
) -> None:
    chance = random.Random("movers")
    with opened_scene("nextcloud", parent, tmp_path) as scene:
        sorting = put_tagged(scene)
        steady = scene.start("mover", "--frequency", "0.1s", state=states[1])
        for _ in range(10):
            one_life(scene, chance, "mover")
            check_none_missing(scene, sorting)
        steady.end()
        scene.until_quiet("mover")
        check_all_sorted(scene, sorting)
