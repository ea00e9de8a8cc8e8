"""The HTTP applications of the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

import datalab.main
import discovery.main
import ingest.main
import mover.main
import odm_gateway.main
import scaler.main
from shared.platform import Platform

CREATE_APP: Mapping[str, Callable[[Any, Platform], FastAPI]] = {
    "mover": mover.main.create_app,
    "scaler": scaler.main.create_app,
    "odm-gateway": odm_gateway.main.create_app,
    "ingest": ingest.main.create_app,
    "discovery": discovery.main.create_app,
    "datalab": datalab.main.create_app,
}
