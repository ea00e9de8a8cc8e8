"""PyODM and the built-in engine: drone images in, a georeferenced orthophoto out."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyodm
import pytest
import rasterio

from flightline.simulation.flight import simulate_flight
from flightline.simulation.plan import FlightPlan
from tests.odm_gateway.wire_suite.gateways import Process, gateway_running

PLAN = FlightPlan(photos=9, megapixels=0.3)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with gateway_running(tmp_path / "home", {"ODM_GATEWAY_ENGINE": "local"}) as process:
        yield process


def processed(node: Any, images: list[str], seen: list[Any]) -> Any:
    task = node.create_task(
        images,
        {"feature-quality": "lowest"},
        name="Small field",
        parallel_uploads=3,
        skip_post_processing=True,
    )
    task.wait_for_completion(status_callback=seen.append, interval=0.2)
    return task


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_uploaded_images_become_an_orthophoto(process: Process, tmp_path: Path) -> None:
    await asyncio.to_thread(simulate_flight, tmp_path / "flight", PLAN)
    images = sorted(str(path) for path in (tmp_path / "flight").glob("*.JPG"))
    seen: list[Any] = []
    task = await asyncio.to_thread(processed, pyodm.Node("127.0.0.1", process.port), images, seen)
    output = await asyncio.to_thread(task.output)
    folder = await asyncio.to_thread(task.download_assets, str(tmp_path / "assets"))

    assert (seen[-1].images_count, seen[-1].status.value, seen[-1].progress) == (len(images), 40, 100)
    percents = [info.progress for info in seen]
    assert percents == sorted(percents)
    assert any(0 < percent < 100 for percent in percents)
    assert len(output) > len(images)
    assert all(isinstance(line, str) and line.isprintable() for line in output)
    _check_orthophoto(Path(folder) / "odm_orthophoto/odm_orthophoto.tif")


def _check_orthophoto(path: Path) -> None:
    with rasterio.open(path) as map_:
        longitude, latitude = map_.lnglat()
        covered = map_.dataset_mask() > 0
        colours = map_.read([1, 2, 3])[:, covered]
    assert map_.crs.is_projected
    assert abs(latitude - PLAN.latitude_deg) < 0.001
    assert abs(longitude - PLAN.longitude_deg) < 0.001
    assert covered.mean() > 0.3
    assert np.unique(colours, axis=1).shape[1] > 100
