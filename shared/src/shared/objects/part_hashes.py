"""Hashes of an object and of each of its parts, as its bytes pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shared.objects.port import ContentError, Part


class PartHashes:
    """Takes an object's bytes in order, and knows whether each part still is what was sent."""

    def __init__(self, key: str, parts: Sequence[Part]) -> None:
        self._key = key
        self._left = list(reversed(parts))
        self._whole = hashlib.sha256()
        self._one = hashlib.sha256()
        self._one_bytes = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            ContentError: A part ended that has another hash, or nothing more was sent.
        """
        self._whole.update(chunk)
        rest = memoryview(chunk)
        while rest:
            if not self._left:
                raise ContentError(f"{self._key} is longer than its parts")
            taken = rest[: self._left[-1].size_bytes - self._one_bytes]
            self._one.update(taken)
            self._one_bytes += len(taken)
            rest = rest[len(taken) :]
            self._check_ended()

    def whole(self) -> str:
        """Return the hex digest of the object.

        Raises:
            ContentError: Not all parts have passed.
        """
        if self._left:
            raise ContentError(f"{self._key} is shorter than its parts")
        return self._whole.hexdigest()

    def _check_ended(self) -> None:
        part = self._left[-1]
        if self._one_bytes < part.size_bytes:
            return
        if self._one.hexdigest() != part.sha256:
            raise ContentError(
                f"{self._key}: part {part.number} does not have the hash with which it was sent"
            )
        self._left.pop()
        self._one, self._one_bytes = hashlib.sha256(), 0
