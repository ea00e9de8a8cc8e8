"""Logging in to Tapis from a terminal: the user types a short code into a browser that may be elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from discovery.adapters.tapis_logins import Logins
from shared.errors import ConflictError, TransientError
from shared.tapis.claims import Claims
from shared.tapis.faults import TapisFault
from shared.tapis.grants import GrantRefusedError, grant

CODE_KEPT_S = 600
"""Taken to be so where Tapis does not say it in seconds."""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a terminal shows, and what it asks with until the user has typed it in."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    expires_in_s: int


async def new_device_code(logins: Logins) -> DeviceCode:
    """Begin a login.

    Raises:
        ConflictError: Tapis does not let our application log users in this way.
        TransientError: Not now.
    """
    client_id = logins.client.client_id if logins.client else ""
    try:
        told = await logins.api.call("authenticator", "generate_device_code", client_id=client_id)
    except TapisFault as fault:
        if fault.may_pass:
            raise TransientError(f"Tapis gives no device codes now (status {fault.status})") from None
        status = fault.status
    else:
        return DeviceCode(
            str(told.device_code), str(told.user_code), str(told.verification_uri), _seconds(told.expires_in)
        )
    raise ConflictError(f"Tapis gives no device codes to the OAuth2 client {client_id} (status {status})")


async def device_login(logins: Logins, device_code: str) -> Claims | None:
    """End a login; None: the code was not typed in yet, or counts no longer, which Tapis does not tell apart.

    Raises:
        UnknownTokenError: What Tapis gave does not prove who it is.
        TransientError: Not now.
    """
    asked = {"client_id": logins.client.client_id if logins.client else "", "device_code": device_code}
    try:
        granted = await grant(logins.api, logins.client, "device_code", **asked)
    except GrantRefusedError:
        return None
    return await logins.accept(granted)


def _seconds(text: object) -> int:
    try:
        return int(float(str(text)))
    except ValueError:
        return CODE_KEPT_S
