"""What the model is of: the chart as it is, measured times, and what clouds and flights are like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from odm_gateway.config import Settings as GatewaySettings

CHART = Path(__file__).parents[3] / "deploy" / "helm" / "flightline"
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """How KEDA and the HorizontalPodAutoscaler choose the pods of a service."""

    least: int
    most: int
    per_replica: int
    polling_s: float = 15.0
    stabilization_s: float = 300.0
    down_percent: float = 25.0
    down_period_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Chart:
    """What the chart's files say, as ``values/production.yaml`` has it."""

    ingest: Scaling
    scaler: Scaling
    window: int


def read_chart(folder: Path = CHART) -> Chart:
    """Return the parameters of the chart in ``folder``; the window is the gateway's own default."""
    defaults = yaml.safe_load((folder / "values.yaml").read_text())["services"]
    production = yaml.safe_load((folder / "values" / "production.yaml").read_text())["services"]
    facts = json.loads((folder / "files" / "facts.json").read_text())["services"]
    template = (folder / "templates" / "_scaling.tpl").read_text()

    def scaling(name: str) -> Scaling:
        chosen = defaults[name]["autoscaling"] | production.get(name, {}).get("autoscaling", {})
        per_replica = chosen["perReplica"] or facts[name]["scaling"]["perReplica"]
        return Scaling(
            least=chosen["min"],
            most=chosen["max"],
            per_replica=per_replica,
            polling_s=_number(template, r"pollingInterval: (\d+)"),
            stabilization_s=_number(template, r"stabilizationWindowSeconds: (\d+)"),
            down_percent=_number(template, r"type: Percent\s+value: (\d+)"),
            down_period_s=_number(template, r"periodSeconds: (\d+)"),
        )

    return Chart(scaling("ingest"), scaling("scaler"), GatewaySettings().argo_window)


def _number(template: str, pattern: str) -> float:
    found = re.search(pattern, template)
    if found is None:
        raise ValueError(f"the chart's scaling has nothing like {pattern}")
    return float(found[1])


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in seconds; ``sources`` says which were measured."""

    settle_s: float = 30.0
    """Discovery's default."""
    transfer_bytes_per_s: float = 60e6
    """Of one source."""
    process_bytes_per_s: float = 602e6
    """Of one process of ingest, all its transfers together."""
    ingest_flight_s: float = 0.02
    scale_image_s: float = 0.8
    """A photograph of 8 MB on one core."""
    scaler_flight_s: float = 0.01
    odm_image_s: float = 27.0
    """45 minutes for 100 images."""
    gateway_flight_s: float = 0.08
    pod_start_s: float = 12.0
    hand_back_s: float = 1.0
    """What a job that is handed back costs once more."""
    node_start_s: float = 75.0
    node_start_sigma: float = 0.3
    """Of the logarithm."""

    @classmethod
    def measured(cls, path: Path) -> Times:
        """Return the times with what a run of real flights took per flight (``flights --json``)."""
        cpu_ms: dict[str, float] = json.loads(path.read_text())["flights"]["cpu_ms_per_flight"]
        return cls(
            ingest_flight_s=cpu_ms["ingest"] / 1e3,
            scaler_flight_s=cpu_ms["scaler"] / 1e3,
            gateway_flight_s=cpu_ms["odm-gateway"] / 1e3,
        )


@dataclass(frozen=True, slots=True)
class Ladder:
    """How much memory each start of ODM gets, from the expected peak."""

    name: str
    headroom: float
    factor: float
    rungs: int = 4

    def gib(self, expected_gib: float, rung: int) -> float:
        """Return the memory of one start."""
        return expected_gib * self.headroom * self.factor ** min(rung, self.rungs - 1)


OURS = Ladder("1.2 then 1.5^n", 1.2, 1.5)
LADDERS = (
    OURS,
    Ladder("1.0 then 1.5^n", 1.0, 1.5),
    Ladder("1.2 then 2^n", 1.2, 2.0),
    Ladder("2.0 then 1.5^n", 2.0, 1.5),
)


@dataclass(frozen=True, slots=True)
class World:
    """Flights and clouds."""

    flights: int = 10_000
    mean_images: int = 100
    image_bytes: int = 8_000_000
    scaled_share: float = 0.1
    images_sigma: float = 0.7
    """Of the logarithm."""
    duration_sigma: float = 0.25
    peak_sigma: float = 0.18
    """How far a job's peak of memory is from what its images let expect, of the logarithm."""
    odm_stages: tuple[float, ...] = (0.02, 0.50, 0.75, 0.85, 0.97, 1.0)
    """Where ODM may go on after a loss, as shares of its time: images, reconstruction, dense cloud, mesh,
    orthophoto, report."""
    killed_at: tuple[float, float] = (0.2, 0.9)
    """Shares of ODM's time within which a process outgrows its memory."""
    interruptions_per_h: float = 0.05
    """Of a spot node."""
    node_cores: int = 32
    node_gib: int = 256
    nodes_at_most: int = 200
    node_idle_s: float = 60.0
    spot_usd_per_core_h: float = 0.025
    on_demand_usd_per_core_h: float = 0.063
    day: tuple[float, ...] = (
        0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.5, 1.0, 1.8, 2.4, 2.6, 2.4,
        2.0, 2.2, 2.4, 2.2, 1.6, 1.0, 0.6, 0.3, 0.2, 0.1, 0.1, 0.1,
    )  # fmt: skip
    """Weight of each hour: drones fly by daylight."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator chooses."""

    window: int
    ladder: Ladder = OURS
    is_spot: bool = True
    resumes: bool = True
    """Whether ODM goes on at the stage that was lost, or from the beginning."""


def cumulative(day: tuple[float, ...]) -> list[float]:
    """Return which share of the flights is there at the end of each hour."""
    total, shares = sum(day), [0.0]
    for weight in day:
        shares.append(shares[-1] + weight / total)
    return shares


def landing_s(share: float, day: tuple[float, ...]) -> float:
    """Return the second of the day at which so large a share of its flights has landed."""
    for hour, (low, high) in enumerate(pairwise(cumulative(day))):
        if share <= high:
            return (hour + (share - low) / (high - low)) * DAY_S / len(day)
    return DAY_S
