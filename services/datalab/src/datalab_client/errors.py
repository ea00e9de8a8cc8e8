"""What can go wrong, in words for whoever sits before the notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class DatalabError(Exception):
    """Anything that datalab or the way to it did not allow."""


class UnreachableError(DatalabError):
    """Datalab did not answer, also not when asked again."""


class BusyError(DatalabError):
    """Datalab or something before it has too much to do, or you asked too often."""


class ServerError(DatalabError):
    """What answered is at fault, or is no datalab."""


class UnauthorizedError(DatalabError):
    """The token is unknown, or does not open this."""


class NotThereError(DatalabError):
    """It was deleted, never was, or is somebody else's."""


class InvalidError(DatalabError):
    """What was asked for cannot be done as asked.

    Attributes:
        fields: What is wrong, by field; empty where no field is at fault.
    """

    def __init__(self, message: str, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.fields: dict[str, list[str]] = {name: list(said) for name, said in (fields or {}).items()}


class OperationFailedError(DatalabError):
    """An operation ended without a result; the message is the server's."""


class StillRunningError(DatalabError, TimeoutError):
    """An operation goes on for longer than was to be waited."""


class DownloadError(DatalabError):
    """A file did not arrive whole."""
