"""Copies the images of a flight into the object store, verified, and says when all are there."""
