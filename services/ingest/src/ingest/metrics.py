"""What ingest counts."""

from __future__ import annotations

from prometheus_client import Counter

FILES = Counter(
    "flightline_ingest_files_total", "Files that need no more work, by what became of them.", ["outcome"]
)
BYTES = Counter(
    "flightline_ingest_bytes_total",
    "Bytes that were read from sources, or that the store had already.",
    ["way"],
)
TRANSFERS = Counter(
    "flightline_ingest_transfers_total", "Attempts at flights, by how they ended.", ["outcome"]
)
