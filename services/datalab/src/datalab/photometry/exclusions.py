"""Images that could not be used, and why: told to users, never passed over in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datalab.operations.operation import OperationError


@dataclass
class Exclusions:
    """The images that are left out."""

    reasons: dict[str, str] = field(default_factory=dict)
    """By basename."""

    def add(self, basename: str, reason: object) -> None:
        """Leave an image out."""
        self.reasons[basename] = str(reason)

    def shown(self) -> Mapping[str, Any]:
        """Return them as JSON: names as clients know them, and reasons beside."""
        return {"excluded_images": list(self.reasons), "excluded_reasons": dict(self.reasons)}

    def nothing_left(self, what: str) -> OperationError:
        """Return the error for users when no image could be used."""
        counted = Counter(self.reasons.values()).most_common(3)
        said = "; ".join(f"{reason} ({many} x)" if many > 1 else reason for reason, many in counted)
        return OperationError(f"{what}: {said}." if said else f"{what}.")
