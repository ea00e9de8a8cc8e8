"""HEAD wherever there is GET, as Express answers it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Heads:
    """ASGI middleware: answers HEAD like GET; the server leaves the content out.

    Downloads know HEAD themselves: nothing of a large file is read for it.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and "/download/" not in scope["path"]:
            scope = {**scope, "method": "GET"}  # a copy: the server has to go by the true one
        await self.app(scope, receive, send)
