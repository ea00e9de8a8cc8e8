"""A client of a simulated Tapis that has little patience."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from shared.sources.pace import Pace
from shared.sources.tapis import TapisSource
from shared.tapis.api import TapisApi
from shared.tapis.client import TapisClient, open_tapis
from shared.tapis.grants import OAuthClient
from shared.tapis.retrying import Patience
from shared.tapis.tokens import ServiceAccount, TapisTokens
from tests.support.tapis import CLIENT_ID, CLIENT_KEY, PASSWORD, USER, TapisServer

IMPATIENT = Patience(attempts=4, first_wait_s=0.01, longest_wait_s=0.5, give_up_s=3, read_s=1)
SYSTEM = "ptdatax.project.TEST"
FLIGHT = "Flight1/code/images"


def service_account(api: TapisApi) -> ServiceAccount:
    """Return the tokens of the test's user."""
    client = OAuthClient(CLIENT_ID, SecretStr(CLIENT_KEY))
    return ServiceAccount(api, USER, SecretStr(PASSWORD), client)


@asynccontextmanager
async def client_of(
    server: TapisServer,
    tokens: TapisTokens | None = None,
    *,
    patience: Patience = IMPATIENT,
    pace: Pace | None = None,
) -> AsyncIterator[TapisClient]:
    """Open a client."""
    async with open_tapis(
        server.url,
        server.tapis.tenant,
        lambda api: tokens or service_account(api),
        patience=patience,
        pace=pace,
        login_url="https://flightline.example/login",
    ) as client:
        yield client


@asynccontextmanager
async def source_of(
    server: TapisServer, path: str = "", *, pace: Pace | None = None
) -> AsyncIterator[TapisSource]:
    """Open a folder of the test's system."""
    async with client_of(server, pace=pace) as client:
        yield TapisSource(client, SYSTEM, path)


async def read(source: TapisSource, path: str) -> bytes:
    """List a file, and read it."""
    folder = await source.folder(path.rpartition("/")[0])
    (entry,) = [entry for entry in folder.files if entry.path == path]
    async with source.open(entry) as chunks:
        return b"".join([chunk async for chunk in chunks])
