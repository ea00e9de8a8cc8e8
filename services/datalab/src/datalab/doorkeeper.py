"""Knows whoever asks: by a token that was given here, else by one of the observation portal."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from datalab.accounts import Accounts
from datalab.adapters.portal import Portal
from datalab.domain.passwords import TOKEN_AT_MOST_CHARACTERS
from datalab.domain.users import Caller
from shared.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Asks the accounts, then the portal."""

    accounts: Accounts
    portal: Portal | None = None

    async def caller(self, token: str) -> Caller | None:
        """Return who carries ``token``, or None for nobody.

        Raises:
            TransientError: The portal has to be asked, and does not answer.
        """
        if len(token) > TOKEN_AT_MOST_CHARACTERS:
            return None
        return await self.accounts.caller(token) or await self._from_portal(token)

    async def _from_portal(self, token: str) -> Caller | None:
        name = await self.portal.user_name(token) if self.portal else None
        if name is None:
            return None
        try:
            user = await self.accounts.portal_user(name)
        except InvalidInputError:
            return None
        return Caller(user.name, user.is_admin, SecretStr(token)) if user else None
