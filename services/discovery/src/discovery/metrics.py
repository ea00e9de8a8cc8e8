"""What discovery counts."""

from __future__ import annotations

from prometheus_client import Counter

ANNOUNCED = Counter("flightline_discovery_flights_total", "Versions of flights that were announced.")
