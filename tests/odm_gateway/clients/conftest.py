"""PyODM and PyODX, and the gateways of the wire suite for them to talk to."""

from pathlib import Path
from typing import Any

import pyodm
import pyodm.api
import pyodx
import pyodx.api
import pytest

from tests.odm_gateway.wire_suite.conftest import (
    backends,
    busy,
    busy_process,
    limited,
    limited_process,
    node,
    quick_process,
)
from tests.odm_gateway.wire_suite.gateways import photo

__all__ = ["backends", "busy", "busy_process", "limited", "limited_process", "node", "quick_process"]


@pytest.fixture(params=[pyodm, pyodx], ids=["pyodm", "pyodx"])
def client(request: pytest.FixtureRequest) -> Any:
    """Give one of the two packages, without the tokens that earlier tests left in it."""
    for shared in (request.param.api.Node.url, request.param.api.Node.get, request.param.api.Task.get):
        shared.__defaults__[0].clear()  # they keep tokens in default arguments
    return request.param


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Give three images."""
    paths = []
    for number in range(3):
        name, content = photo(number)
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
    return paths
