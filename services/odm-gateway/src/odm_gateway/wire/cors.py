"""Cross-origin access for everybody, as NodeODM grants it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANYWHERE = (b"access-control-allow-origin", b"*")
METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


@dataclass(frozen=True, slots=True)
class Cors:
    """ASGI middleware: marks every answer as readable from anywhere, and answers preflights."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await _answer_preflight(Headers(scope=scope), send)
        else:
            await self.app(scope, receive, _marking(send))


def _marking(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], ANYWHERE]
        await send(message)

    return marked


async def _answer_preflight(asked: Headers, send: Send) -> None:
    headers = MutableHeaders(
        {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": METHODS,
            "Vary": "Access-Control-Request-Headers",
            "Content-Length": "0",
        }
    )
    if wanted := asked.get("access-control-request-headers"):
        headers["Access-Control-Allow-Headers"] = wanted
    await send({"type": "http.response.start", "status": 204, "headers": headers.raw})
    await send({"type": "http.response.body", "body": b""})
