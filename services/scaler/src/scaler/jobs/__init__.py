"""Scaling jobs: a staged flight's images, or one that somebody sent, shared among any number of processes."""
