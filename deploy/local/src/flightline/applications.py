"""The HTTP applications of the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

import discovery.main
import ingest.main
import odm_gateway.main
from shared.platform import Platform

CREATE_APP: Mapping[str, Callable[[Any, Platform], FastAPI]] = {
    "odm-gateway": odm_gateway.main.create_app,
    "ingest": ingest.main.create_app,
    "discovery": discovery.main.create_app,
}
