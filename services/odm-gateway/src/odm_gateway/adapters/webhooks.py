"""Tells webhooks: one POST each, signed where there is a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession
from pydantic import SecretStr
from yarl import URL

from odm_gateway.adapters.receivers import Receivers
from odm_gateway.domain.webhooks import Hook, signature
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.outside import checked_url, outside_session

ANSWER_WITHIN_S = 10.0
CONNECTIONS_AT_MOST = 256
"""More than there are events in hand: none waits for a connection behind a receiver that is silent."""
HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Sends to places that clients chose, and to the one that the operator trusts."""

    outside: ClientSession
    trusted: ClientSession
    secret: SecretStr | None
    receivers: Receivers = field(default_factory=Receivers)

    async def post(self, hook: Hook, body: bytes, delivery: str) -> None:
        """Tell one webhook; ``delivery`` is the same however often it is told the same.

        Raises:
            PermanentError: It is no URL, or lies where clients may not reach.
            TransientError: It did not answer with 200, or did not answer others a moment ago.
        """
        try:
            url = checked_url(hook.url)
            async with self.receivers.turn(_receiver(hook, url)):
                status = await self._status(hook, url, body, delivery)
        # Texts of libraries may repeat the URL, and that may hold a secret.
        except InvalidInputError as error:
            raise PermanentError(f"The webhook of the {hook.name} cannot be told: {error}") from None
        except (ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"{_named(hook)} cannot be reached: {type(error).__name__}") from None
        if status != HTTP_OK:
            raise TransientError(f"{_named(hook)} answered {status}, not 200")

    async def _status(self, hook: Hook, url: str, body: bytes, delivery: str) -> int:
        session = self.trusted if hook.is_trusted else self.outside
        headers = {"Content-Type": "application/json", "X-Flightline-Delivery": delivery}
        if self.secret:
            headers["X-Flightline-Signature"] = signature(self.secret.get_secret_value(), body)
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status


def _receiver(hook: Hook, url: str) -> str:
    """Return who is behind a URL; a client's word about the operator's receiver does not close it."""
    parts = URL(url)
    return f"the webhook of the {hook.name} at {parts.host}:{parts.port}"


def _named(hook: Hook) -> str:
    return f"The webhook of the {hook.name} at {URL(hook.url).host}"


@asynccontextmanager
async def open_webhooks(
    *, allow_private: bool, secret: SecretStr | None, answer_within_s: float = ANSWER_WITHIN_S
) -> AsyncIterator[Webhooks]:
    """Open what webhooks are told with; ``allow_private`` lets clients name private addresses, too."""
    async with (
        _session(allow_private=allow_private, within_s=answer_within_s) as outside,
        _session(allow_private=True, within_s=answer_within_s) as trusted,
    ):
        yield Webhooks(outside, trusted, secret)


@asynccontextmanager
async def _session(*, allow_private: bool, within_s: float) -> AsyncIterator[ClientSession]:
    async with outside_session(
        allow_private=allow_private, connect_s=within_s, total_s=within_s, connections=CONNECTIONS_AT_MOST
    ) as session:
        yield session
