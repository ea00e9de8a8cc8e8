"""Whom the HTTP interface needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from datalab.domain.asked import AskedOperation, ShownOperation
from datalab.domain.users import Caller


class Operations(Protocol):
    """Whoever has operations computed.

    Every method may raise ``TransientError``; what a ``PermanentError`` says is for the user.
    """

    async def ask(self, operation: AskedOperation, caller: Caller) -> AskedOperation:
        """Store a new operation, which has its number already, and have it computed.

        Nothing is stored where it raises. A result that is there already is given at once.

        Raises:
            OperationError: An input does not exist, or ``caller`` may not see it.
        """

    async def cancel(self, operation: AskedOperation) -> AskedOperation:
        """Stop an unfinished operation; one that has ended stays as it is.

        Its computation ends with it where nobody else wants that.
        """

    async def retry(self, operation: AskedOperation, caller: Caller) -> AskedOperation:
        """Have a failed or cancelled operation computed again; one in another state stays as it is.

        Raises:
            OperationError: As at ``ask``.
        """

    async def forget(self, operation: AskedOperation) -> None:
        """Delete the operation's document, and stop its computation where nobody else wants it.

        One that is gone already is no error.
        """

    async def shown(self, operations: Sequence[AskedOperation], *, base_url: str) -> list[ShownOperation]:
        """Return the operations, in their order, as they are now.

        Args:
            operations: As they were stored; unfinished ones are looked up together.
            base_url: Of this service, without a slash at its end: URLs of results that no server but
                this one serves begin with it.
        """
