"""Machine code that an image brings is used where it can be, and nothing fails where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datalab.execution.machine_code import ABOUT, About, numba_environment

CALLS = """
from datalab.execution.compile_ahead import compile_all
compile_all()
"""


def brought(folder: Path, name: str = "code-1", needs: Iterable[str] = ()) -> Path:
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels" / "clip.nbc").write_bytes(b"machine code")
    about = About(name=name, environment={"NUMBA_CPU_NAME": "generic"}, needs=frozenset(needs))
    (folder / ABOUT).write_text(about.model_dump_json())
    return folder


def test_code_that_was_brought_is_where_numba_keeps_its_own(tmp_path: Path) -> None:
    environment = numba_environment(tmp_path / "work", brought(tmp_path / "image"))

    assert environment == {
        "NUMBA_CACHE_DIR": str(tmp_path / "work" / "code-1"),
        "NUMBA_CPU_NAME": "generic",
    }
    assert (tmp_path / "work" / "code-1" / "kernels" / "clip.nbc").read_bytes() == b"machine code"


def test_the_code_of_a_former_image_is_not_that_of_the_next(tmp_path: Path) -> None:
    for number in (1, 2):
        numba_environment(tmp_path / "work", brought(tmp_path / f"image-{number}", f"code-{number}"))

    assert {path.name for path in (tmp_path / "work").iterdir()} == {"code-1", "code-2"}


def test_several_processes_that_start_together_bring_it_once(tmp_path: Path) -> None:
    image = brought(tmp_path / "image")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: numba_environment(tmp_path / "work", image), range(24)))

    assert {one["NUMBA_CACHE_DIR"] for one in found} == {str(tmp_path / "work" / "code-1")}
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["code-1"]


@pytest.mark.parametrize("about", [None, "", '{"name": 1}'], ids=["nothing", "empty", "another"])
def test_without_code_that_can_be_used_numba_compiles(tmp_path: Path, about: str | None) -> None:
    if about is not None:
        (brought(tmp_path / "image") / ABOUT).write_text(about)

    assert numba_environment(tmp_path / "work", tmp_path / "image") == {
        "NUMBA_CACHE_DIR": str(tmp_path / "work")
    }


def test_a_processor_that_is_too_old_is_spared(tmp_path: Path) -> None:
    image = brought(tmp_path / "image", needs={"an-ability-of-the-year-2050"})

    assert numba_environment(tmp_path / "work", image) == {"NUMBA_CACHE_DIR": str(tmp_path / "work")}


def test_where_nothing_can_be_written_numba_is_left_to_itself(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("no folder")

    assert numba_environment(tmp_path / "work", brought(tmp_path / "image")) == {
        "NUMBA_CACHE_DIR": str(tmp_path / "work")
    }


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_is_left_to_compile_after_it_was_done_ahead(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "datalab.execution.compile_ahead", str(tmp_path / "image")], check=True
    )
    environment = numba_environment(tmp_path / "work", tmp_path / "image")
    compiled = set((tmp_path / "image").rglob("*.nbc"))

    subprocess.run([sys.executable, "-c", CALLS], check=True, env=os.environ | environment)

    own = Path(environment["NUMBA_CACHE_DIR"])
    assert len(compiled) > 30
    assert {path.relative_to(own) for path in own.rglob("*.nbc")} == {
        path.relative_to(tmp_path / "image") for path in compiled
    }
