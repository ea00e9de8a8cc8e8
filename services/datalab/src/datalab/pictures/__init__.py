"""What people look at: JPEG, TIFF, and pixels for a browser to stretch."""

from datalab.pictures.encoding import preview

__all__ = ["preview"]
