"""What NodeODM's clients are told when something is not done."""

from __future__ import annotations

from shared.errors import PermanentError


class RefusedError(PermanentError):
    """NodeODM's clients expect this text as the error of an answer."""
