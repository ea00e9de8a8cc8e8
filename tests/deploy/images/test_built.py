"""Each image, made by the Dockerfile's own steps from a clean checkout, serves read-only and as nobody."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from datalab.execution.machine_code import ABOUT
from flightline.chart.services import WORKLOADS
from shared.setting_faults import variable
from tests.deploy.images.building import Built, built
from tests.deploy.images.dockerfile import ours
from tests.support.processes import free_port
from tests.support.until import wait_until

SERVICES = sorted(name for name, workload in WORKLOADS.items() if workload.command == (name,))
DEVELOPERS = {"hypothesis", "moto", "mypy", "nx-27017", "pytest", "ruff"}
OF_THE_BASE = {"libc", "libdl", "libgcc_s", "libm", "libpthread", "librt", "libstdc++", "libutil", "libz"}
"""Libraries that Debian's smallest image has, and Python's on top of it."""
OPTIONAL = {"libgomp", "libtbb"}
"""Of numba, for loops that run in parallel: there are none."""
READY_WITHIN_S = 90
LIST_PACKAGES = """
import importlib.metadata, json
print(json.dumps(sorted({one.name.lower() for one in importlib.metadata.distributions()})))
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a root that is read-only"),
]


@pytest.fixture(scope="module", params=[*SERVICES, "flightline"])
def image(request: pytest.FixtureRequest) -> Iterator[Built]:
    with built(request.param) as made:
        yield made


def test_it_says_what_it_is_and_has_nothing_for_developers(image: Built) -> None:
    told = subprocess.run(image.restricted("--help"), check=True, capture_output=True, text=True).stdout
    listed = subprocess.run(
        image.restricted("-c", LIST_PACKAGES, program="python"), check=True, capture_output=True, text=True
    )
    packages = set(json.loads(listed.stdout))

    assert "usage" in told.lower()
    assert {image.service, "shared"} <= packages
    assert packages & DEVELOPERS == set()


def test_it_needs_no_library_that_is_not_in_the_image(image: Built) -> None:
    files = {path.name: path for path in image.app.rglob("*.so*") if path.is_file()}
    linked = subprocess.run(["ldd", *map(str, files.values())], check=False, capture_output=True, text=True)
    needed = set(re.findall(r"^\t(\S+\.so\S*) =>", linked.stdout, re.MULTILINE))
    outside = {name.partition(".so")[0] for name in needed - files.keys()}

    assert needed
    assert outside - OF_THE_BASE - OPTIONAL - installed_libraries(image.service) == set()


def test_it_starts_read_only_and_ends_when_it_is_told(image: Built) -> None:
    if image.service == "flightline":
        made = [image.restricted("simulate", "flight", f"{image.data}/flight", "--photos", "1")]
        assert [subprocess.run(one, check=False).returncode for one in made] == [0]
        return

    with serving(image) as (process, url):
        wait_until(lambda: is_ready(process, url), READY_WITHIN_S)
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=60) == 0


def test_datalab_has_nothing_left_to_compile(image: Built) -> None:
    if image.service != "datalab":
        pytest.skip("only datalab compiles")
    folder = image.app / "share" / "datalab" / "compiled"
    code = "from datalab.execution.machine_code import BROUGHT; print(BROUGHT)"
    told = subprocess.run(
        image.restricted("-c", code, program="python"), check=True, capture_output=True, text=True
    )

    assert Path(told.stdout.strip()) == folder
    assert (folder / ABOUT).exists()
    assert len(list(folder.rglob("*.nbc"))) > 30


def installed_libraries(service: str) -> set[str]:
    """Return the libraries of the packages that the Dockerfile installs for a service."""
    text = " ".join(one.rest for one in ours() if one.stage == 1 and one.word == "RUN")
    packages = {
        package
        for names, package in re.findall(r"([\w|-]+)\) packages=(\w+)", text)
        if service in names.split("|")
    }
    return {package.rstrip("0123456789") for package in packages}


@contextmanager
def serving(image: Built) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    variables = {
        variable(WORKLOADS[image.service].settings, "port"): str(port),
        "FLIGHTLINE_LOG_LEVEL": "warning",
    }
    with subprocess.Popen(image.restricted(**variables)) as process:
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    assert process.poll() is None, "it ended by itself"
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False
