"""What goes wrong with Vault, in words that name addresses, paths and settings, and never a value.

Nothing here is raised while hvac's own error is handled: that one holds the whole answer, and would travel
along as its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shared.errors import InvalidInputError, NotFoundError, TransientError
from shared.redaction import HIDDEN, redact_text

REASONS_AT_MOST = 200

_COUNT = re.compile(r"^\d+ errors? occurred:")

DOWN = {
    429: "is a standby node, or is asked too often",
    472: "is a standby node of a recovery cluster",
    473: "is a performance standby node",
    501: "is not initialised",
    502: "cannot be reached by the proxy before it",
    503: "is sealed, or down for maintenance",
    504: "does not answer the proxy before it",
}
"""What answers mean that are about Vault itself."""


class VaultDeniedError(InvalidInputError):
    """Vault knows us not, or does not let us do that."""


class VaultRefusedError(InvalidInputError):
    """Vault, or what answers at its address, can make nothing of the request."""


class SecretDeletedError(NotFoundError):
    """The secret was there, and its current version was deleted or destroyed."""


class VaultDownError(TransientError):
    """Vault cannot be reached, is sealed, or is busy."""


def _line(text: str) -> str:
    """Return Vault's list of errors, ``1 error occurred:`` and a line for each, on one line."""
    return "; ".join(line.strip(" \t*") for line in _COUNT.sub("", text).splitlines() if line.strip())


def reasons(errors: object, secrets: Iterable[str]) -> str:
    """Return what Vault itself says, on one line, short, and without the secrets that it was sent."""
    if not isinstance(errors, list | tuple):
        return ""
    text = "; ".join(_line(str(error)) for error in errors)
    for secret in secrets:
        text = text.replace(secret, HIDDEN) if secret else text
    text = redact_text(text)
    return text if len(text) <= REASONS_AT_MOST else f"{text[:REASONS_AT_MOST]}…"
