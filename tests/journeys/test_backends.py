from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from tests.support.columns import Column


def test_a_flight_gives_the_same_map_on_servers_and_on_files(
    servers: Column, embedded: Column, flight: Path, tmp_path: Path
) -> None:
    maps = []
    for name, column in (("servers", servers), ("embedded", embedded)):
        column.run_json("run", str(flight), "--out", str(tmp_path / f"map-{name}"))
        with rasterio.open(tmp_path / f"map-{name}" / "odm_orthophoto/odm_orthophoto.tif") as orthophoto:
            maps.append((orthophoto.crs, orthophoto.transform, orthophoto.read()))

    on_servers, on_files = maps
    assert on_servers[:2] == on_files[:2]
    assert np.array_equal(on_servers[2], on_files[2])
