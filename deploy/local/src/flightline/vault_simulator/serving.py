"""A simulator on a port of loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from flightline.vault_simulator.app import create_app
from flightline.vault_simulator.vault import SimulatedVault
from shared.service.server import http_server

_HOST = "127.0.0.1"


@asynccontextmanager
async def serving(vault: SimulatedVault, port: int = 0) -> AsyncIterator[str]:
    """Serve ``vault`` until the block ends, and return its URL; port 0 is any that is free."""
    with _listener(port) as listener:
        server = _server(vault)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]), name="vault")
            vault.url = f"http://{_HOST}:{listener.getsockname()[1]}"
            try:
                yield vault.url
            finally:
                server.should_exit = True


def _server(vault: SimulatedVault) -> uvicorn.Server:
    server = http_server(create_app(vault))
    server.config.http = "h11"  # httptools knows no LIST
    server.config.timeout_graceful_shutdown = 1
    return server


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
