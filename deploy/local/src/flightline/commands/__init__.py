"""The commands of flightline, one per file."""
