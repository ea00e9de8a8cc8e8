"""Images that could not be used, and why: told to users, never passed over in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from datalab.operations.operation import OperationError
from shared.errors import TransientError

log = structlog.get_logger(__name__)


@dataclass
class Exclusions:
    """The images that are left out."""

    reasons: dict[str, str] = field(default_factory=dict)
    """By basename."""
    unforeseen: Exception | None = None
    """The first that nobody has thought of, and that may be a fault of ours."""

    def add(self, basename: str, reason: object) -> None:
        """Leave an image out."""
        self.reasons[basename] = str(reason)

    @contextmanager
    def without(self, basename: str) -> Iterator[None]:
        """Leave an image out if it cannot be used: what one image brings about does not end them all."""
        try:
            yield
        except OperationError as error:
            self.add(basename, error)
        except Exception as error:
            if isinstance(error, MemoryError | TransientError) or getattr(error, "errno", None) is not None:
                raise  # it is the machine's, and not the image's
            log.warning("photometry.image_unforeseen", image=basename, exc_info=True)
            self.unforeseen = self.unforeseen or error
            self.add(basename, f"it cannot be worked on ({type(error).__name__})")

    def shown(self) -> Mapping[str, Any]:
        """Return them as JSON: names as clients know them, and reasons beside."""
        return {"excluded_images": list(self.reasons), "excluded_reasons": dict(self.reasons)}

    def nothing_left(self, what: str) -> Exception:
        """Return the error when no image could be used: for users, unless it may be a fault of ours."""
        if self.unforeseen is not None:
            return self.unforeseen
        counted = Counter(self.reasons.values()).most_common(3)
        said = "; ".join(f"{reason} ({many} x)" if many > 1 else reason for reason, many in counted)
        return OperationError(f"{what}: {said}." if said else f"{what}.")
