"""Images are scaled here: decoded strictly, resized, encoded as they were, with their metadata.

Nothing here reads files, starts threads or keeps anything between two images.
"""

from __future__ import annotations

from scaler.domain.asks import Asks, Scaled
from scaler.imaging.headers import Header, check_size, read_header

__all__ = ["Header", "check_size", "read_header", "scale_image"]


def scale_image(content: bytes, asks: Asks, *, pixels_at_most: int, turbo: bool = True) -> Scaled:
    """Return the image scaled, in the format it came in.

    Args:
        content: The file.
        asks: How to scale it.
        pixels_at_most: The limit of source and scaled image each; no pixel is decoded beyond it.
        turbo: Whether JPEGs may go the faster way through libturbojpeg where that is installed.

    Raises:
        RejectedError: It cannot be scaled.
    """
    # What only reads headers, as services do, needs neither OpenCV nor numpy.
    from scaler.imaging.scaling import scaled  # noqa: PLC0415

    return scaled(content, asks, pixels_at_most=pixels_at_most, turbo=turbo)
