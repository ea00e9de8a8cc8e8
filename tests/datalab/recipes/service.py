"""``datalab`` with the small operations of tests."""

from __future__ import annotations

from functools import partial

from datalab.config import Settings
from datalab.main import create_app
from shared.service.command import start
from tests.support.datalab_operations import REGISTRY


def main() -> None:
    """Serve until SIGTERM."""
    start("datalab", "Serves small operations.", Settings, partial(create_app, known=REGISTRY))
