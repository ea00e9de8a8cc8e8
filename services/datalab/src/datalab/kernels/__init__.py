"""Computations on arrays of pixels: no files, no names, one thread."""
