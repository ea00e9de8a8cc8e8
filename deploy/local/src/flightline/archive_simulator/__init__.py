"""A science archive to try things out with: frames, tokens, signed links, a portal, Gaia, and faults."""

from flightline.archive_simulator.archive import ArchiveSimulator, Fault, Frame, Kind
from flightline.archive_simulator.serving import serving_archive

__all__ = ["ArchiveSimulator", "Fault", "Frame", "Kind", "serving_archive"]
