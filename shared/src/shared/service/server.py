"""The HTTP server, uvicorn, as our services want it; imported only where something is served."""

from __future__ import annotations

from contextlib import nullcontext

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

KEEP_ALIVE_S = 65
"""Longer than the idle timeout of common load balancers (60 s), which else would race against our closing."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us."""

    @override
    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # narrower than a generator
        return nullcontext()


def http_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for ``app`` that does not run yet."""
    return _Server(
        uvicorn.Config(
            app,
            lifespan="off",  # ours, so that its errors reach the caller
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
