"""Paths with and without a slash at their end mean the same; nobody is redirected."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIXES = ("/api/", "/authprofile/")
FILES = "/api/results/"
"""Below it a path is the name of an object."""


@dataclass(frozen=True, slots=True)
class Slashes:
    """ASGI middleware: puts the slash there that our routes have."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(PREFIXES) and not path.endswith("/") and not path.startswith(FILES):
            scope = {**scope, "path": f"{path}/"}
        await self.app(scope, receive, send)
