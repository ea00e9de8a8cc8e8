"""Where flights come from: a port, its adapters, and what makes a flight."""

from shared.sources.flight_files import (
    FileRule,
    FlightFiles,
    flight_id,
    flight_of,
    is_image,
    read_flight,
    version_of,
)
from shared.sources.layout import Layout, Place, find
from shared.sources.open import Sources, local_folder, open_sources
from shared.sources.port import (
    Capabilities,
    Entry,
    Folder,
    LoginNeededError,
    Skipped,
    Source,
    SourceChangedError,
    SourceForbiddenError,
)

__all__ = [
    "Capabilities",
    "Entry",
    "FileRule",
    "FlightFiles",
    "Folder",
    "Layout",
    "LoginNeededError",
    "Place",
    "Skipped",
    "Source",
    "SourceChangedError",
    "SourceForbiddenError",
    "Sources",
    "find",
    "flight_id",
    "flight_of",
    "is_image",
    "local_folder",
    "open_sources",
    "read_flight",
    "version_of",
]
