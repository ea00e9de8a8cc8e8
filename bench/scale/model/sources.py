"""Where each number of the model comes from: what was measured here, what is assumed, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from bench.scale.model.parameters import Times, World

CLOUDS = "assumed: of the order that clouds publish; prices and losses differ by region and month"

SOURCES: Mapping[str, str] = {
    "settle_s": "discovery's default, DISCOVERY_SETTLE",
    "transfer_bytes_per_s": "assumed: one source behind a network of a gigabit a second, half of it ours",
    "process_bytes_per_s": "measured: bench.ingest on two cores, docs/performance.md",
    "ingest_flight_s": "measured: processor time of bench.scale flights; --measured takes another run's",
    "scale_image_s": "assumed: more than the 0.32 s of bench.scaler, for 4.6 MB on an idle machine",
    "scaler_flight_s": "measured: as ingest_flight_s",
    "odm_image_s": "assumed: 45 minutes for 100 images, of a size and with options as most have",
    "gateway_flight_s": "measured: as ingest_flight_s",
    "pod_start_s": "assumed: an image that is on the node",
    "hand_back_s": "assumed",
    "node_start_s": CLOUDS,
    "node_start_sigma": CLOUDS,
    "flights": "given: the day that is asked about",
    "mean_images": "given: a million images in 10,000 flights",
    "image_bytes": "given: photographs of drones are 5 to 10 MB",
    "scaled_share": "assumed",
    "images_sigma": "assumed: two flights of three have 39 to 158 images",
    "duration_sigma": "assumed",
    "peak_sigma": "assumed: around the peak that the gateway expects, from published tables",
    "odm_stages": "assumed: stages differ between sets",
    "killed_at": "assumed",
    "interruptions_per_h": CLOUDS,
    "node_cores": "given: what an operator would choose",
    "node_gib": "given: as node_cores",
    "nodes_at_most": "given: as node_cores",
    "node_idle_s": "assumed: what node autoscalers are usually set to",
    "spot_usd_per_core_h": CLOUDS,
    "on_demand_usd_per_core_h": CLOUDS,
    "day": "assumed: drones fly by daylight; the weight of each hour",
}
"""By the names of ``Times`` and ``World``; all other limits are read from the chart and the code."""

SIMPLER = """\
Simpler than the truth: a pod that is taken away had the fewest jobs in hand; a pod of ODM gets the first node
with room; the fourth start of ODM runs on spot as the others, where the chart has it on demand; the gateway,
the broker, stores, networks and Argo's controller never make anybody wait."""


def told(times: Times, world: World) -> dict[str, str]:
    """Return each number of the model and where it comes from."""
    return {name: f"{value}: {SOURCES[name]}" for name, value in (asdict(times) | asdict(world)).items()}


def described() -> str:
    """Return what ``--help`` says of the model."""
    lines = (f"  {name:<26}{text}" for name, text in told(Times(), World()).items())
    return "\n".join(["numbers of the model:", *lines, "", SIMPLER])
