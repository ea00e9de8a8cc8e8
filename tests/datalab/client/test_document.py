"""The document's blocks, run one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import datalab_client
from tests.datalab.client.conftest import Place, local_files

TEXT = (Path(__file__).parents[3] / "docs" / "datalab-client.md").read_text()


def test_the_document_works_as_written(place: Place, tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    local_files(tmp_path / "night")
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)

    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        env={"DATALAB_URL": place.lab.url, "DATALAB_TOKEN": place.token()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(blocks) == 10
    assert sorted(re.sub(r"\d+", "N", path.name) for path in (tmp_path / "results").iterdir()) == [
        "color-image-N-large.jpg",
        "color-image-N.tif",
        "median-N.fits",
        "median-N.fits",
        "normalization-N-N.fits",
        "normalization-N-N.fits",
    ]
    for said in ("COMPLETED 1.0", "input_data: input_files: ", "['M51 tonight']"):
        assert said in done.stdout


def test_the_document_tells_of_all_errors() -> None:
    errors = [name for name in datalab_client.__all__ if name.endswith("Error")]

    assert [name for name in errors if f"`{name}`" not in TEXT] == []
