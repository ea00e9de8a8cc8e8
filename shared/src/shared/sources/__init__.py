"""Where flights come from: a port, its adapters, and what makes a flight."""

from shared.sources.flight_files import FlightFiles, flight_id, is_image, read_flight, version_of
from shared.sources.open import Sources, local_folder, open_sources
from shared.sources.port import (
    Entry,
    Folder,
    Skipped,
    Source,
    SourceChangedError,
    SourceForbiddenError,
)

__all__ = [
    "Entry",
    "FlightFiles",
    "Folder",
    "Skipped",
    "Source",
    "SourceChangedError",
    "SourceForbiddenError",
    "Sources",
    "flight_id",
    "is_image",
    "local_folder",
    "open_sources",
    "read_flight",
    "version_of",
]
