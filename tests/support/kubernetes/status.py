"""The API server's way to refuse."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_QUALIFIED = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


class RefusedError(Exception):
    """A request that ends with a ``Status``."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def status(self) -> Json:
        """Return the object that is sent."""
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": str(self),
            "reason": self.reason, "code": self.code,
        }  # fmt: skip


def not_found(plural: str, name: str) -> RefusedError:
    return RefusedError(404, "NotFound", f'{plural} "{name}" not found')


def expired() -> RefusedError:
    return RefusedError(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result."
        " You must start a new list without the continue parameter.",
    )


def too_old(asked: int, oldest: int) -> RefusedError:
    return RefusedError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def check_metadata(plural: str, metadata: Json) -> None:
    """Refuse names and labels that no cluster takes."""
    name = metadata.get("name", "")
    if not name:
        raise _invalid(plural, name, "metadata.name: Required value: name or generateName is required")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise _invalid(
            plural, name, f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain'
        )
    for key, value in (metadata.get("labels") or {}).items():
        if not _QUALIFIED.fullmatch(key) or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            raise _invalid(plural, name, f'metadata.labels: Invalid value: "{key}={value}"')
    for finalizer in metadata.get("finalizers") or []:
        if "/" not in finalizer or not _QUALIFIED.fullmatch(finalizer):
            raise _invalid(plural, name, f'metadata.finalizers: Invalid value: "{finalizer}"')


def _invalid(plural: str, name: str, what: str) -> RefusedError:
    return RefusedError(422, "Invalid", f'{plural} "{name}" is invalid: {what}')
