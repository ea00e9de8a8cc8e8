"""Data sessions, and operations on FITS images in them."""
