"""Webhooks: one POST each, signed where there is a secret, and only to where its chooser may send."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr
from yarl import URL

from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.urls import checked_url

if TYPE_CHECKING:
    from aiohttp import ClientSession

ANSWER_WITHIN_S = 10.0
CONNECTIONS_AT_MOST = 64
_TAKEN = range(200, 300)


def signature(secret: str, body: bytes) -> str:
    """Return the signature of a body, as the header ``X-Flightline-Signature`` carries it."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


@contextmanager
def failures_told(webhook: str, url: str) -> Iterator[None]:
    """Say of which webhook it is that it cannot be told; what libraries say may repeat its URL's secrets.

    Raises:
        PermanentError: It is no URL, or lies where its chooser may not reach.
        TransientError: It did not answer.
    """
    from aiohttp import ClientError  # noqa: PLC0415 - see ``WebhookSender``

    try:
        yield
    except InvalidInputError as error:
        raise PermanentError(f"{webhook} cannot be told: {error}") from None
    except (ClientError, TimeoutError, OSError) as error:
        raise TransientError(
            f"{webhook} at {URL(url).host} cannot be reached: {type(error).__name__}"
        ) from None


@dataclass(slots=True)
class WebhookSender:
    """Sends to places that users chose, and to those that the operator trusts.

    Few processes ever send one, so that the HTTP client, a fifth of a second to import, waits for the first.
    """

    secret: SecretStr | None
    allow_private: bool
    """Whether users may name private addresses, too."""
    within_s: float
    connections: int
    _opened: AsyncExitStack
    _sessions: dict[bool, ClientSession] = field(default_factory=dict)

    async def post(self, url: str, body: bytes, delivery: str, *, is_trusted: bool = False) -> None:
        """Tell one webhook; ``delivery`` is the same however often it is told the same.

        Raises:
            PermanentError: It is no URL, or lies where users may not reach.
            TransientError: It did not answer, or not that it took it.
        """
        with failures_told("The webhook", url):
            status = await self.send(url, body, delivery, is_trusted=is_trusted)
        if status not in _TAKEN:
            raise TransientError(f"The webhook at {URL(url).host} answered {status}")

    async def send(self, url: str, body: bytes, delivery: str, *, is_trusted: bool) -> int:
        """Return the status that a webhook answers with; ``failures_told`` knows what else may happen.

        Raises:
            InvalidInputError: It is no URL, or lies where users may not reach.
            ClientError, OSError, TimeoutError: It did not answer.
        """
        url = checked_url(url)
        session = await self._session(is_trusted=is_trusted)
        headers = {"Content-Type": "application/json", "X-Flightline-Delivery": delivery}
        if self.secret:
            headers["X-Flightline-Signature"] = signature(self.secret.get_secret_value(), body)
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async def _session(self, *, is_trusted: bool) -> ClientSession:
        from shared.outside import outside_session  # noqa: PLC0415 - see above

        if is_trusted not in self._sessions:
            self._sessions[is_trusted] = await self._opened.enter_async_context(
                outside_session(
                    allow_private=is_trusted or self.allow_private,
                    connect_s=self.within_s,
                    total_s=self.within_s,
                    connections=self.connections,
                )
            )
        return self._sessions[is_trusted]


@asynccontextmanager
async def open_webhooks(
    *,
    allow_private: bool,
    secret: SecretStr | None,
    answer_within_s: float = ANSWER_WITHIN_S,
    connections: int = CONNECTIONS_AT_MOST,
) -> AsyncIterator[WebhookSender]:
    """Open what webhooks are told with; ``allow_private`` lets users name private addresses, too."""
    async with AsyncExitStack() as opened:
        yield WebhookSender(secret, allow_private, answer_within_s, connections, opened)
