"""The flightline command: the whole pipeline in one process."""
