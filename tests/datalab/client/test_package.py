"""The client as a package: what it needs, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[3]
UV = ROOT / ".ci" / "uv"

WITHOUT_OURS = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"shared", "datalab", "numpy", "astropy", "pydantic", "fastapi"}:
            raise ImportError(f"the client needs {name}")

sys.meta_path.insert(0, Refuse())
import datalab_client

with datalab_client.Datalab("http://127.0.0.1:9", token="t", progress=True) as lab:
    print(lab)
print("tqdm" in sys.modules)
"""


def test_nothing_of_the_service_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OURS], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "Datalab('http://127.0.0.1:9')\nFalse\n"


@pytest.mark.long
def test_the_extras_packages_alone_are_enough(tmp_path: Path) -> None:
    _run(str(UV), "build", "--package", "datalab", "--wheel", "--out-dir", str(tmp_path))
    (wheel,) = tmp_path.glob("datalab-*.whl")
    with ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(opened.read(metadata))
    needed = [
        one.partition(";")[0].strip()
        for one in told.get_all("Requires-Dist", [])
        if one.replace('"', "'").endswith("extra == 'client'")
    ]
    assert {"datalab/main.py", "datalab_client/lab.py", "datalab_client/py.typed"} <= set(names)
    assert len(needed) == 3

    python = tmp_path / "fresh" / "bin" / "python"
    _run(str(UV), "venv", "--python", sys.executable, str(python.parents[1]))
    _run(str(UV), "pip", "install", "--python", str(python), *needed)
    _run(str(UV), "pip", "install", "--python", str(python), "--no-deps", str(wheel))

    script = "import datalab_client as c; print(c.Datalab('http://127.0.0.1:9', token='t'))"
    assert _run(str(python), "-I", "-c", script) == "Datalab('http://127.0.0.1:9')\n"


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
