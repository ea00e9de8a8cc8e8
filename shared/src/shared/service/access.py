"""Who may write: whoever carries the token, if one is set."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.status import HTTP_401_UNAUTHORIZED

_bearer = HTTPBearer(auto_error=False, description="Needed where the service has a token.")


async def authorised(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let a request through if the service has no token, or the request carries it.

    Routes that write declare it: ``@router.post(…, dependencies=[Depends(authorised)])``.

    Raises:
        HTTPException: 401, the token is missing or another one.
    """
    token: SecretStr | None = request.app.state.service.token
    if token is None:
        return
    given = credentials.credentials if credentials else ""
    if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise HTTPException(
            HTTP_401_UNAUTHORIZED,
            "This needs the service's token, as a Bearer credential.",
            headers={"WWW-Authenticate": "Bearer"},
        )
