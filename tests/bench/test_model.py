"""The model of scale agrees with what is known in closed form, and with the chart."""

from __future__ import annotations

import json
import math
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import simpy
from bench.scale.killing import Spread, spread
from bench.scale.model.day import Day, landings, quantiles, stage_before
from bench.scale.model.nodes import Node, Nodes
from bench.scale.model.parameters import OURS, Ladder, Policy, Scaling, Times, World, landing_s, read_chart
from bench.scale.model.pods import Pods, Steps, allowed, wanted
from bench.scale.model.sources import SOURCES, described
from bench.scale.percentiles import percentile

from discovery.config import Settings as DiscoverySettings
from ingest.config import Settings as IngestSettings
from odm_gateway.domain.sizing import HEADROOM, RUNG_FACTOR, RUNGS

FIXED = Scaling(least=1, most=1, per_replica=4)
"""One pod of four slots: nothing is scaled."""
SMALL = World(flights=300)
EVEN = World(
    flights=100, images_sigma=0, duration_sigma=0, peak_sigma=0, interruptions_per_h=0, scaled_share=0
)
"""Flights that are all alike, and nothing goes wrong."""


def test_the_chart_is_what_the_model_is_of() -> None:
    chart = read_chart()
    assert chart.ingest.per_replica == IngestSettings().transfers_at_once
    assert chart.ingest.least >= 1
    assert chart.ingest.most > chart.ingest.least
    assert (chart.scaler.polling_s, chart.scaler.stabilization_s) == (15, 300)


def test_waiting_for_a_fixed_number_of_slots_is_that_of_erlang() -> None:
    arrivals_per_s, served_per_s, jobs = 2.4, 1.0, 30_000
    env, chance = simpy.Environment(), random.Random(5)
    pods = Pods(env, FIXED, Times(pod_start_s=0))
    made = []

    def arrive() -> Steps:
        for _ in range(jobs):
            yield env.timeout(chance.expovariate(arrivals_per_s))
            made.append(pods.submit(chance.expovariate(served_per_s)))
        yield env.all_of([job.done for job in made])

    env.run(until=env.process(arrive()))
    waited_s = sum((job.began_at_s or 0) - job.asked_at_s for job in made) / jobs
    expected_s = erlang_c(4, arrivals_per_s / served_per_s) / (4 * served_per_s - arrivals_per_s)
    assert waited_s == pytest.approx(expected_s, rel=0.08)
    assert pods.busy_s / env.now == pytest.approx(arrivals_per_s / served_per_s, rel=0.03)


def erlang_c(servers: int, load: float) -> float:
    """Return the share of jobs that have to wait."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


def test_what_is_in_the_system_is_what_arrives_times_how_long_it_stays() -> None:
    """Little's law, of the workflows of a day."""
    day = Day(read_chart(), Times(), SMALL, Policy(window=1_000))
    seen: list[int] = []

    def look() -> Steps:
        while True:
            seen.append(day.window.count)
            yield day.env.timeout(30)

    day.env.process(look())
    day.run()
    stayed_s = sum(each.node_waited_s + each.odm_s for each in day.flown) / len(day.flown)
    assert sum(seen) / len(seen) == pytest.approx(len(day.flown) / day.env.now * stayed_s, rel=0.02)


def test_every_flight_ends_and_the_same_seed_makes_the_same_day() -> None:
    first, second = (Day(read_chart(), Times(), SMALL, Policy(100)).run() for _ in range(2))
    assert first == second
    assert first["flights"] == SMALL.flights


def test_one_flight_takes_what_its_steps_take() -> None:
    """By hand: no chance but in how long the node takes to come, and that is told."""
    world = replace(EVEN, flights=1)
    times = Times(transfer_bytes_per_s=100e6, process_bytes_per_s=1e9)
    day = Day(replace(read_chart(), ingest=FIXED), times, world, Policy(window=1, is_spot=False))
    figures = day.run()
    [flight] = day.flown
    steps_s = (30, 0.02, 8, 0.08, flight.node_waited_s, 12, 2_700)  # 100 images of 8 MB and of 27 s
    assert flight.images == 100
    assert flight.total_s == pytest.approx(sum(steps_s))
    memory_gib = (18 + (25 - 18) * 60 / 160) * 1.2  # between 40 and 200 images, and headroom
    assert day.core_s == pytest.approx((12 + 2_700) * math.ceil(memory_gib / 8))
    node_s = flight.node_waited_s + 12 + 2_700
    assert figures["usd"] == round(node_s / 3_600 * 32 * 0.063)
    assert day.nodes.node_s == pytest.approx(node_s)


def test_work_that_is_done_is_work_that_was_wanted_and_work_that_was_lost() -> None:
    world = replace(EVEN, interruptions_per_h=0.5, peak_sigma=0.18, images_sigma=0.7)
    day = Day(read_chart(), Times(), world, Policy(300))
    figures = day.run()
    assert figures["interruptions"] > 10
    assert figures["out_of_memory"] > 10
    for flight in day.flown:
        if not flight.is_failed:
            starting_s = flight.odm_s - flight.images * 27 - flight.lost_s
            assert -0.01 < starting_s < flight.starts * 12 + 0.01


def test_what_came_in_is_out_and_nothing_is_held_at_the_end() -> None:
    world = replace(SMALL, interruptions_per_h=0.3, scaled_share=0.5)
    day = Day(read_chart(), Times(), world, Policy(50))
    figures = day.run()
    assert figures["images"] == sum(images for _, images, *_ in landings(world, random.Random(day.seed)))
    assert figures["interruptions"] > 0
    assert (day.ingest.backlog, day.scaler.backlog, day.window.count, len(day.window.queue)) == (0, 0, 0, 0)
    assert day.nodes.free_cores == day.nodes.cores
    assert 0 < day.core_s < day.nodes.node_s * world.node_cores


def test_no_pod_has_more_memory_than_a_node() -> None:
    """A flight that needs more than the largest node has fails, however often it is tried."""
    world = replace(EVEN, flights=1, mean_images=1_000, node_gib=64)
    day = Day(read_chart(), Times(), world, Policy(1))
    assert day.run()["failed"] == 0  # 58 GiB
    world = replace(world, mean_images=1_500)
    day = Day(read_chart(), Times(), world, Policy(1))
    assert day.run()["failed"] == 1  # 79 GiB


def test_every_number_says_where_it_comes_from() -> None:
    names = [each.name for each in (*fields(Times), *fields(World))]
    assert list(SOURCES) == names
    assert all(
        text.startswith(("measured: ", "assumed", "given: ", "discovery's ")) for text in SOURCES.values()
    )
    assert Times().settle_s == DiscoverySettings().settle.total_seconds()
    assert all(name in described() for name in names)


def test_the_same_percentile_is_told_everywhere_and_is_a_value() -> None:
    values = [float(value) for value in range(1, 21)]
    assert [percentile(values, percent) for percent in (5, 50, 95, 99, 100)] == [1, 10, 19, 20, 20]
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7
    assert spread([3.0, 1.0, 2.0]) == Spread(3, 2.0, 3.0, 3.0)
    assert spread([]) is None
    assert quantiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p95": 3.0, "p99": 3.0}


def test_a_smaller_window_makes_flights_wait_longer() -> None:
    days = [Day(read_chart(), Times(), SMALL, Policy(window)).run() for window in (5, 300)]
    narrow, wide = (day["wait_for_window_s"]["p95"] for day in days)
    assert narrow > wide
    assert days[0]["peak_workflows"] == 5


def test_more_memory_at_first_means_fewer_processes_that_outgrow_it() -> None:
    none, twice = (
        Day(read_chart(), Times(), SMALL, Policy(300, ladder)).run()
        for ladder in (Ladder("none", 1.0, 1.5), Ladder("twice", 2.0, 1.5))
    )
    assert none["out_of_memory"] > twice["out_of_memory"]
    assert none["core_h"] < twice["core_h"]


def test_spot_nodes_cost_less_and_take_work_back_which_resuming_saves() -> None:
    often = replace(SMALL, interruptions_per_h=0.3, peak_sigma=0.0)
    policies = (Policy(300, is_spot=False), Policy(300), Policy(300, resumes=False))
    safe, resumed, anew = (Day(read_chart(), Times(), often, policy).run() for policy in policies)
    assert (safe["interruptions"], safe["lost_percent"]) == (0, 0)
    assert resumed["usd"] < safe["usd"]
    assert 0 < resumed["lost_percent"] < anew["lost_percent"]


@pytest.mark.parametrize(
    ("replicas", "backlog", "expected"),
    [(2, 0, 2), (2, 4, 2), (2, 5, 3), (10, 21, 10), (2, 1_000, 20), (8, 6, 3)],
)
def test_a_backlog_asks_for_pods_by_its_share_of_each(replicas: int, backlog: int, expected: int) -> None:
    assert wanted(replicas, backlog, Scaling(2, 20, 2)) == expected


@pytest.mark.parametrize(
    ("replicas", "recent", "now", "at_begin", "expected"),
    [
        (2, [], 20, 2, 6),  # four more at most
        (8, [], 20, 8, 16),  # or twice as many
        (16, [16, 3], 3, 16, 16),  # five minutes must have agreed
        (16, [3, 3], 3, 16, 12),  # then a quarter a minute
        (12, [3], 3, 16, 12),
        (3, [2], 2, 3, 3),
    ],
)
def test_pods_come_quickly_and_go_slowly(
    replicas: int, recent: list[int], now: int, at_begin: int, expected: int
) -> None:
    assert allowed(replicas, recent, now, at_begin, Scaling(2, 20, 2)) == expected


def test_a_pod_that_is_taken_away_hands_its_work_back() -> None:
    env = simpy.Environment()
    pods = Pods(env, Scaling(least=1, most=4, per_replica=1, stabilization_s=0), Times(pod_start_s=1))
    made = [pods.submit(work_s) for work_s in (10, 10, 10, 400, 400)]
    env.run(until=env.all_of([job.done for job in made]))
    assert pods.peak > 1
    assert env.now < 1_000
    assert pods.backlog == 0


def test_a_node_comes_for_a_pod_that_fits_nowhere_and_goes_when_it_is_idle() -> None:
    env, world = simpy.Environment(), World(interruptions_per_h=0)
    nodes = Nodes(env, world, Times(), is_spot=True, chance=random.Random(1))

    def pods() -> Steps:
        node: Node = yield nodes.ask(4, 30)
        other: Node = yield nodes.ask(4, 30)
        assert node is other
        assert env.active_process
        node.running[env.active_process] = None
        yield env.timeout(600)
        node.running.clear()
        for _ in range(2):
            nodes.give_back(node, 4, 30)

    env.run(until=env.process(pods()))
    assert nodes.peak == 1
    assert nodes.usd == 0  # it still runs
    env.run(until=env.now + 300)
    assert nodes.usd > 0


def test_flights_land_by_daylight() -> None:
    world = World()
    assert landing_s(0.0, world.day) == 0
    assert landing_s(1.0, world.day) == pytest.approx(86_400)
    landed = [at_s / 3_600 for at_s, *_ in landings(world, random.Random(2))]
    assert sum(8 <= hour < 17 for hour in landed) > 0.7 * len(landed)
    images = [images for _, images, *_ in landings(world, random.Random(2))]
    assert sum(images) == pytest.approx(1_000_000, rel=0.05)


def test_odm_goes_on_at_the_stage_that_it_lost() -> None:
    stages = World().odm_stages
    assert [stage_before(reached, stages) for reached in (0.01, 0.49, 0.5, 0.9)] == [0.0, 0.02, 0.5, 0.85]


def test_measured_times_are_read_from_what_a_run_told(tmp_path: Path) -> None:
    told: dict[str, Any] = {"flights": {"cpu_ms_per_flight": {"ingest": 20, "scaler": 10, "odm-gateway": 50}}}
    (tmp_path / "told.json").write_text(json.dumps(told))
    assert Times.measured(tmp_path / "told.json").gateway_flight_s == 0.05


def test_our_ladder_is_that_of_the_gateway() -> None:
    assert (OURS.headroom, OURS.factor, OURS.rungs) == (HEADROOM, RUNG_FACTOR, RUNGS)
