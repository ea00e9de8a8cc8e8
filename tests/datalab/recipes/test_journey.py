"""The documented recipe, of operations that are shipped, applied to frames with known pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from astropy.io import fits

from tests.datalab.api.calling import made, operations, upload
from tests.datalab.recipes.calling import RECIPES, applied, ended, statuses
from tests.support.lab import running_lab
from tests.support.star_fields import star_field, write_series

PAGE = Path(__file__).parents[3] / "docs" / "datalab-recipes.md"
"""Its recipe is the one that is followed here."""


def test_frames_are_normalized_aligned_stacked_and_coloured(tmp_path: Path) -> None:
    fields = [star_field(exposure=number) for number in range(3)]
    paths = write_series(tmp_path, fields, compress="gzip", bpm=False, err=False)
    with running_lab(tmp_path / "home", known=None, workers=1) as lab:
        me = lab.user()
        files = [upload(me, path.name, path.read_bytes()).json() for path in paths]
        session = made(me)["id"]
        recipe = me.post(RECIPES, json=json.loads(PAGE.read_text().split("```")[1].removeprefix("json")))

        run = ended(me, applied(me, recipe.json(), session, inputs=files))

        assert statuses(run) == ["COMPLETED"] * 4, run
        normalization, aligned, median, color = (
            me.get(f"{operations(session)}{one['operation']}/").json() for one in run["steps"]
        )
        content = me.get(median["output"]["output_files"][0]["fits_url"]).content
        picture = me.get(color["output"]["output_files"][0]["large_url"]).content
    assert len(normalization["output"]["output_files"]) == len(aligned["output"]["output_files"]) == 3
    channels = color["input_data"]["color_channels"]
    assert [one["basename"] for one in channels] == [
        aligned["output"]["output_files"][0]["basename"],
        median["output"]["output_files"][0]["basename"],
        files[2]["basename"],
    ]
    assert [one["color"]["g"] for one in channels] == [0, 255, 0]
    assert picture.startswith(b"\xff\xd8")
    expected = np.median([field.pixels / np.median(field.pixels) for field in fields], axis=0)
    with fits.open(io.BytesIO(content)) as found:
        np.testing.assert_allclose(found["SCI"].data, expected, rtol=1e-5)
