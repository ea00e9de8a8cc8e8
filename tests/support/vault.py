"""A simulated Vault over TCP, in a thread of its own: hvac blocks, and tests call it as they are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import hvac

from flightline.vault_simulator import SimulatedVault, serving
from shared.vault import Vault
from shared.vault_settings import VaultSettings

ROOT = "root-token-of-the-tests"
MOUNT = "kv"
STARTS_WITHIN_S = 30


class Served(Protocol):
    """What has an address."""

    url: str


@contextmanager
def vault_server(vault: SimulatedVault | None = None) -> Iterator[SimulatedVault]:
    """Serve a Vault with KV version 2 at ``kv``, version 1 at ``team/old``, and a root token."""
    vault = vault or SimulatedVault()
    vault.mount(MOUNT)
    vault.mount("team/old", version=1)
    vault.add_root(ROOT)
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(vault):
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="vault")
    thread.start()
    try:
        assert ready.wait(STARTS_WITHIN_S)
        yield vault
    finally:
        stop.set()
        thread.join()


@contextmanager
def real_client(vault: Served, token: str | None = ROOT, **more: Any) -> Iterator[Any]:
    """Return hvac's own client, as anybody uses it."""
    client = hvac.Client(url=vault.url, token=token, **more)
    try:
        yield client
    finally:
        client.adapter.close()


@contextmanager
def our_client(vault: Served, **settings: Any) -> Iterator[Vault]:
    """Return our client, by default as a token that may read what is mounted."""
    if not any(name in settings for name in ("vault_token_file", "vault_role_id", "vault_kubernetes_role")):
        settings = {"vault_token": ROOT, **settings}
    client = Vault(VaultSettings.model_validate({"vault_url": vault.url, "vault_timeout": "5s", **settings}))
    try:
        yield client
    finally:
        client.close()
