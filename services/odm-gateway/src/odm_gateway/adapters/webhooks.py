"""Tells webhooks, as NodeODM does: nothing but 200 says that it was heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from yarl import URL

from odm_gateway.adapters.receivers import Receivers
from odm_gateway.domain.webhooks import Hook
from shared.errors import TransientError
from shared.urls import checked_url
from shared.webhooks import WebhookSender, failures_told

CONNECTIONS_AT_MOST = 256
"""More than there are events in hand: none waits for a connection behind a receiver that is silent."""
HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Sends to places that clients chose, and to the one that the operator trusts."""

    sender: WebhookSender
    receivers: Receivers = field(default_factory=Receivers)

    async def post(self, hook: Hook, body: bytes, delivery: str) -> None:
        """Tell one webhook; ``delivery`` is the same however often it is told the same.

        Raises:
            PermanentError: It is no URL, or lies where clients may not reach.
            TransientError: It did not answer with 200, or did not answer others a moment ago.
        """
        webhook = f"The webhook of the {hook.name}"
        with failures_told(webhook, hook.url):
            async with self.receivers.turn(_receiver(hook)):
                status = await self.sender.send(hook.url, body, delivery, is_trusted=hook.is_trusted)
        if status != HTTP_OK:
            raise TransientError(f"{webhook} at {URL(hook.url).host} answered {status}, not 200")


def _receiver(hook: Hook) -> str:
    """Return who is behind a URL; a client's word about the operator's receiver does not close it."""
    parts = URL(checked_url(hook.url))
    return f"the webhook of the {hook.name} at {parts.host}:{parts.port}"
