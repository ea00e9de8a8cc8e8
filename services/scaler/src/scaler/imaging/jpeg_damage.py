"""What the complaints of libjpeg mean."""

from __future__ import annotations

from scaler.domain.asks import RejectedError


def damage(error: Exception) -> RejectedError:
    """Return why the image is rejected."""
    message = str(error)
    code = "truncated" if "premature end of jpeg file" in message.lower() else "corrupt"
    return RejectedError(code, f"the JPEG cannot be decoded: {message}")
