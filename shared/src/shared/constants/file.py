"""Constants in one JSON file: an object with an object for each secret."""

from __future__ import annotations

import json
import math
from pathlib import Path

from shared.constants.constant import Constant, values_version
from shared.errors import InvalidInputError

FILE_AT_MOST_BYTES = 1 << 20


class ConstantsFile:
    """A JSON document, read whole whenever something is wanted of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = f"file {path}"

    def read(self, name: str) -> Constant | None:
        """Return one of the file's objects; None if it has none of this name.

        Raises:
            InvalidInputError: The file cannot be read, or is not such a document.
        """
        document = self._document()
        if name not in document:
            return None
        values = document[name]
        if not isinstance(values, dict):
            raise InvalidInputError(f"{name} in {self._path} is no JSON object")
        return Constant(values, values_version(values), f"{self.where}, {name}")

    def keep(self) -> float:
        """Return that a file needs nothing."""
        return math.inf

    def close(self) -> None:
        """Do nothing: no file is kept open."""

    def _document(self) -> dict[str, object]:
        try:
            document = json.loads(self._content())
        except (ValueError, RecursionError):
            document = None  # the error would show what is in the file
        if not isinstance(document, dict):
            raise InvalidInputError(f"{self._path} is no JSON object of UTF-8 text")
        return document

    def _content(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_AT_MOST_BYTES + 1)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InvalidInputError(f"{self._path} cannot be read: {reason}") from error
        if len(content) > FILE_AT_MOST_BYTES:
            raise InvalidInputError(f"{self._path} is larger than {FILE_AT_MOST_BYTES} bytes")
        return content.decode()
