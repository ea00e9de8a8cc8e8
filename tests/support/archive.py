"""The simulated archive, by the name that tests have for it."""

from flightline.archive_simulator import ArchiveSimulator, Fault, Frame, Kind, serving_archive

__all__ = ["ArchiveSimulator", "Fault", "Frame", "Kind", "serving_archive"]
