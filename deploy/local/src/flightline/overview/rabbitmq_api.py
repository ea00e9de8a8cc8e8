"""RabbitMQ's management API, as far as it tells what AMQP does not."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from shared.errors import PermanentError, TransientError
from shared.settings import PlatformSettings

ANSWER_WITHIN_S = 2.0
FORBIDDEN = (401, 403)


async def unacknowledged(settings: PlatformSettings) -> dict[str, int]:
    """Return how many messages of each queue are in somebody's hands.

    Raises:
        PermanentError: The API refuses us, or is none.
        TransientError: It cannot be reached.
    """
    queues = await asked(settings, f"queues/{vhost(settings)}?columns=name,messages_unacknowledged")
    return {str(queue["name"]): int(queue.get("messages_unacknowledged") or 0) for queue in queues}


def vhost(settings: PlatformSettings) -> str:
    """Return the virtual host of the bus, as a part of a URL's path."""
    path = urlsplit(settings.bus).path
    return quote(unquote(path[1:]) if len(path) > 1 else "/", safe="")


async def asked(settings: PlatformSettings, path: str) -> Any:
    """Return what the API answers.

    Raises:
        PermanentError: It refuses us, or is none.
        TransientError: It cannot be reached.
    """
    assert settings.bus_management is not None
    at = urlsplit(settings.bus_management.get_secret_value())
    place = f"{at.scheme}://{at.hostname}:{at.port or (443 if at.scheme == 'https' else 80)}"
    login = b64encode(f"{unquote(at.username or '')}:{unquote(at.password or '')}".encode()).decode()
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=ANSWER_WITHIN_S)) as session,
            session.get(
                f"{place}{at.path.rstrip('/')}/api/{path}",
                headers={"Authorization": f"Basic {login}"},
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status in FORBIDDEN:
                raise PermanentError(
                    f"RabbitMQ's management API at {place} refused user {at.username}: it needs the tag"
                    " monitoring, and rights in the virtual host"
                )
            if not answer.ok:
                raise PermanentError(f"RabbitMQ's management API at {place} answered {answer.status}")
            return await answer.json()
    except (ClientError, TimeoutError, OSError) as error:
        reason = type(error).__name__ if isinstance(error, TimeoutError) else str(error)
        raise TransientError(f"RabbitMQ's management API at {place} does not answer: {reason}") from error
