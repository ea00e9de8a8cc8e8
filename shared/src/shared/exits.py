"""Exit codes of commands, where sysexits(3) has one as it has them."""

from __future__ import annotations

from typing import Final

from shared.errors import InvalidInputError, PermanentError, TransientError

FAILED: Final = 1
BAD_INPUT: Final = 2
IN_PART: Final = 3
"""Done but for what is told as errors."""
TRY_LATER: Final = 75
"""``EX_TEMPFAIL``."""
LOG_IN: Final = 77
"""``EX_NOPERM``."""
INTERRUPTED: Final = 130


def exit_code(error: PermanentError | TransientError) -> int:
    """Return what a command ends with that met an error."""
    match error:
        case InvalidInputError():
            return BAD_INPUT
        case PermanentError():
            return FAILED
        case TransientError():
            return TRY_LATER
