import os
import subprocess
import sys
from pathlib import Path

from odm_gateway.runner.memory import meter

MARK = "FLIGHTLINE_TEST_MARK=memory"


def cgroup(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_a_container_is_measured_without_its_page_cache(tmp_path: Path) -> None:
    root = cgroup(
        tmp_path,
        {"memory.current": "9000\n", "memory.stat": "anon 1000\nfile 7000\nshmem 20\nkernel 5\n"},
    )
    assert meter(b"x", root)() == 1020


def test_a_container_of_the_older_kind_is_measured_if_it_has_a_limit(tmp_path: Path) -> None:
    root = cgroup(
        tmp_path,
        {
            "memory/memory.limit_in_bytes": "4096\n",
            "memory/memory.stat": "cache 5\nrss 6\ntotal_rss 700\ntotal_shmem 1\n",
        },
    )
    assert meter(b"x", root)() == 701


def test_without_a_container_of_its_own_the_processes_of_a_run_are_measured(tmp_path: Path) -> None:
    root = cgroup(tmp_path, {"memory/memory.limit_in_bytes": str((1 << 63) - 4096)})
    name, value = MARK.split("=")
    script = "held = bytearray(b'x') * (60 << 20); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, env={**os.environ, name: value}
    ) as process:
        measure = meter(MARK.encode(), root)
        while process.poll() is None and measure() < 60 << 20:
            pass
        assert process.poll() is None
        process.communicate(b"\n")
    assert measure() == 0
