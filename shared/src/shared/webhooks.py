"""Webhooks: one POST each, signed where there is a secret, and only to where its chooser may send."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession
from pydantic import SecretStr
from yarl import URL

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.outside import checked_url, outside_session

ANSWER_WITHIN_S = 10.0
CONNECTIONS_AT_MOST = 64
_TAKEN = range(200, 300)


def signature(secret: str, body: bytes) -> str:
    """Return the signature of a body, as the header ``X-Flightline-Signature`` carries it."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Sends to places that users chose, and to those that the operator trusts."""

    outside: ClientSession
    trusted: ClientSession
    secret: SecretStr | None

    async def post(self, url: str, body: bytes, delivery: str, *, is_trusted: bool = False) -> None:
        """Tell one webhook; ``delivery`` is the same however often it is told the same.

        Raises:
            PermanentError: It is no URL, or lies where users may not reach.
            TransientError: It did not answer, or not that it took it.
        """
        try:
            status = await self._status(checked_url(url), body, delivery, is_trusted=is_trusted)
        except InvalidInputError as error:
            raise PermanentError(f"The webhook cannot be told: {error}") from error
        except (ClientError, TimeoutError, OSError) as error:
            # Their texts may repeat the URL, and that may hold a secret.
            raise TransientError(f"{_named(url)} cannot be reached: {type(error).__name__}") from None
        if status not in _TAKEN:
            raise TransientError(f"{_named(url)} answered {status}")

    async def _status(self, url: str, body: bytes, delivery: str, *, is_trusted: bool) -> int:
        session = self.trusted if is_trusted else self.outside
        headers = {"Content-Type": "application/json", "X-Flightline-Delivery": delivery}
        if self.secret:
            headers["X-Flightline-Signature"] = signature(self.secret.get_secret_value(), body)
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status


def _named(url: str) -> str:
    return f"The webhook at {URL(url).host}"


@asynccontextmanager
async def open_webhooks(
    *, allow_private: bool, secret: SecretStr | None, answer_within_s: float = ANSWER_WITHIN_S
) -> AsyncIterator[WebhookSender]:
    """Open what webhooks are told with; ``allow_private`` lets users name private addresses, too."""
    async with (
        _session(allow_private=allow_private, within_s=answer_within_s) as outside,
        _session(allow_private=True, within_s=answer_within_s) as trusted,
    ):
        yield WebhookSender(outside, trusted, secret)


def _session(*, allow_private: bool, within_s: float) -> AbstractAsyncContextManager[ClientSession]:
    return outside_session(
        allow_private=allow_private, connect_s=within_s, total_s=within_s, connections=CONNECTIONS_AT_MOST
    )
