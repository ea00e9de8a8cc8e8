"""Users' Tapis logins: kept sealed, renewed ahead of time, by one replica at a time."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from discovery.adapters.sealing import Sealer
from discovery.domain.logins import CodeRefusedError, Login, LoginState, UnknownTokenError, digest
from shared.errors import ConflictError, DamagedError, NotFoundError, TransientError
from shared.sources import LoginNeededError
from shared.state import AlreadyExistsError, Change, Collection, Document, LeaseLostError
from shared.state.owner import is_gone, process_owner
from shared.tapis.api import TapisApi
from shared.tapis.claims import Claims, TokenRefusedError
from shared.tapis.faults import TapisFault
from shared.tapis.grants import Granted, GrantRefusedError, OAuthClient, grant
from shared.tapis.verifying import Verifier

log = structlog.get_logger()

HOLD = timedelta(seconds=90)
"""Longer than Tapis may take to answer."""
LOOK_EVERY_S = 0.1
GIVE_UP_S = 100.0
KEPT_AFTER_END = timedelta(days=7)
"""For so long after its end a login is known well enough to say that it is over."""


class Logins:
    """The logins of all users; any number of replicas may ask for the same one at once."""

    def __init__(
        self,
        api: TapisApi,
        client: OAuthClient | None,
        logins: Collection[Login],
        sealer: Sealer,
        login_url: str,
    ) -> None:
        """Bind them.

        Args:
            api: The tenant.
            client: Our application; None: users can only show tokens that they got elsewhere.
            logins: Where they are kept.
            sealer: Seals their tokens.
            login_url: Where a user logs in again.
        """
        self.api = api
        self.client = client
        self.login_url = login_url
        self._logins = logins
        self._sealer = sealer
        self._me = f"{process_owner()}/{secrets.token_hex(4)}"
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._verifier = Verifier(api)

    async def claims(self, token: str) -> Claims:
        """Return whom an access token is for.

        Raises:
            UnknownTokenError: It is none of this tenant's, or not any more.
            TransientError: The tenant's key cannot be had now.
        """
        try:
            return await self._verifier.claims(token)
        except TokenRefusedError as error:
            raise UnknownTokenError(str(error)) from None

    async def token(self, owner: str) -> str:
        """Return an access token that is good for a while."""
        return (await self.granted(owner)).access_token

    async def renewed(self, owner: str, rejected: str) -> str:
        """Return another token than ``rejected``."""
        return (await self.granted(owner, rejected)).access_token

    async def known(self, owner: str) -> Login | None:
        """Return what is kept of a user's login."""
        document = await self._logins.get(digest(owner))
        return document.body if document else None

    async def granted(self, owner: str, rejected: str | None = None) -> Granted:
        """Return a token that is good for a while, and is not ``rejected``.

        Raises:
            LoginNeededError: The user has to log in again.
            TransientError: Not now.
        """
        async with self._locks.setdefault(owner, asyncio.Lock()):
            return await self._granted(owner, rejected)

    async def refresh(self, owner: str) -> Granted:
        """Renew a login now, even one that Tapis refused to renew before.

        Raises:
            NotFoundError: There is no such login.
            ConflictError: It cannot be renewed: the user showed a token of another application.
            LoginNeededError: The user has to log in again.
        """
        login = await self.known(owner)
        if login is None:
            raise NotFoundError(f"{owner} has never logged in here; log in at {self.login_url}")
        if login.refresh_token is None:
            raise ConflictError(f"this login of {owner} cannot be renewed; log in at {self.login_url}")
        await self._logins.update(
            digest(owner), lambda one: one.model_copy(update={"state": LoginState.ACTIVE})
        )
        return await self.granted(owner, self._opened(login, login.access_token))

    async def log_in(self, code: str, redirect_uri: str) -> Claims:
        """Take the code that a browser brought back from Tapis, and keep the login.

        Raises:
            CodeRefusedError: Tapis does not know the code, or us.
            UnknownTokenError: What Tapis gave does not prove who it is.
            TransientError: Not now.
        """
        asked = {"code": code, "redirect_uri": redirect_uri}
        try:
            granted = await grant(self.api, self.client, "authorization_code", **asked)
        except GrantRefusedError as error:
            raise CodeRefusedError(str(error)) from None
        return await self.accept(granted)

    async def accept(self, granted: Granted) -> Claims:
        """Keep the login that Tapis granted to our application.

        Raises:
            UnknownTokenError: It does not prove who it is.
            TransientError: Not now.
        """
        claims = await self.claims(granted.access_token)
        client_id = self.client.client_id if self.client else ""
        await self._keep(self._sealed(claims, granted, client_id))
        log.info("login.kept", owner=claims.owner)
        return claims

    async def show(self, claims: Claims, token: str) -> None:
        """Keep a token that a user brought along, unless there is a better login."""
        now = datetime.now(UTC)
        login = await self.known(claims.owner)
        if (
            login
            and login.state is LoginState.ACTIVE
            and (login.refresh_token is not None or login.access_expires_at >= claims.expires_at)
        ):
            return
        await self._keep(self._sealed(claims, Granted(token, claims.expires_at), "", now))

    async def forget(self, owner: str) -> bool:
        """Forget a login, and have Tapis forget it; return whether Tapis could be told.

        Raises:
            NotFoundError: There is none.
        """
        document = await self._logins.get(digest(owner))
        if document is None:
            raise NotFoundError(f"{owner} is not logged in here")
        tokens = [document.body.refresh_token, document.body.access_token]
        told = [await self._revoked(owner, sealed) for sealed in tokens if sealed]
        while document is not None:
            with suppress(ConflictError):  # somebody renewed it meanwhile
                await self._logins.delete(document)
                break
            document = await self._logins.get(digest(owner))
        log.info("login.forgotten", owner=owner, is_revoked=all(told))
        return all(told)

    async def _granted(self, owner: str, rejected: str | None) -> Granted:
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + GIVE_UP_S
        while clock() < give_up_s:
            document = await self._logins.get(digest(owner))
            if document is None:
                raise LoginNeededError(f"{owner} is not logged in to Tapis here; log in at {self.login_url}")
            if granted := self._usable(document.body, rejected):
                return granted
            self._check_renewable(document.body)
            claimed = await self._logins.claim({"id": digest(owner)}, owner=self._me, hold=HOLD)
            if claimed is not None:
                return await self._renew(claimed, rejected)
            if not await self._released_gone(document):
                await asyncio.sleep(LOOK_EVERY_S)
        raise TransientError(f"the login of {owner} is being renewed, and that takes too long")

    async def _released_gone(self, document: Document[Login]) -> bool:
        """Give back the lease of a process that died while it renewed a login; return whether it had."""
        lease = document.record.lease
        if lease is None or not is_gone(lease.owner.rpartition("/")[0]):
            return False
        with suppress(LeaseLostError, NotFoundError):  # somebody else was faster
            await self._logins.release(document.id, owner=lease.owner)
        return True

    def _usable(self, login: Login, rejected: str | None) -> Granted | None:
        ahead = login.renew_ahead() if login.refresh_token else timedelta()
        if not login.is_good(datetime.now(UTC), ahead=ahead):
            return None
        token = self._opened(login, login.access_token)
        return None if token == rejected else Granted(token, login.access_expires_at)

    def _check_renewable(self, login: Login) -> None:
        is_ours = self.client is not None and login.client_id == self.client.client_id
        if login.state is LoginState.ACTIVE and login.refresh_token and is_ours:
            return
        raise self._over(login.owner)

    async def _renew(self, claimed: Document[Login], rejected: str | None) -> Granted:
        """Renew a login under the lease that we have, which the last change gives back."""
        login = claimed.body
        if granted := self._usable(login, rejected):  # by somebody else, before the lease was ours
            await self._release(claimed.id)
            return granted
        try:
            granted = await self._asked(login)
        except GrantRefusedError:
            await self._change(login, {"state": LoginState.LOGIN_NEEDED})
            log.warning("login.over", owner=login.owner)
            raise self._over(login.owner) from None
        except BaseException as error:
            await self._release(claimed.id)
            token = self._opened(login, login.access_token)
            if isinstance(error, TransientError) and token != rejected and login.is_good(datetime.now(UTC)):
                return Granted(token, login.access_expires_at)
            raise
        await self._change(login, self._fields(login.owner, granted))
        log.info("login.renewed", owner=login.owner)
        return granted

    async def _asked(self, login: Login) -> Granted:
        refresh_token = self._opened(login, login.refresh_token or "")
        return await grant(self.api, self.client, "refresh_token", refresh_token=refresh_token)

    def _sealed(self, claims: Claims, granted: Granted, client_id: str, now: datetime | None = None) -> Login:
        return Login.model_validate(
            {
                "owner": claims.owner,
                "username": claims.username,
                "tenant": claims.tenant,
                "client_id": client_id,
                "logged_in_at": now or datetime.now(UTC),
                **self._fields(claims.owner, granted),
            }
        )

    def _fields(self, owner: str, granted: Granted) -> dict[str, object]:
        fields: dict[str, object] = {
            "access_token": self._sealer.seal(granted.access_token, owner),
            "access_expires_at": granted.expires_at,
            "renewed_at": datetime.now(UTC),
            "state": LoginState.ACTIVE,
        }
        if granted.refresh_token:
            fields["refresh_token"] = self._sealer.seal(granted.refresh_token, owner)
            fields["refresh_expires_at"] = granted.refresh_expires_at
        return fields

    async def _keep(self, login: Login) -> None:
        change = Change(login, expires_at=login.ends_at + KEPT_AFTER_END)
        try:
            await self._logins.insert(digest(login.owner), login, expires_at=change.expires_at)
        except AlreadyExistsError:
            await self._logins.update(digest(login.owner), lambda _: change)

    async def _change(self, known: Login, fields: dict[str, object]) -> None:
        def changed(login: Login) -> Change[Login]:
            is_same = login.logged_in_at == known.logged_in_at  # else the user logged in anew meanwhile
            after = login.model_copy(update=fields if is_same else {})
            return Change(after, release=True, expires_at=after.ends_at + KEPT_AFTER_END)

        with suppress(LeaseLostError, NotFoundError):  # it took too long, or the user logged out meanwhile
            await self._logins.update(digest(known.owner), changed, owner=self._me)

    async def _release(self, document_id: str) -> None:
        with suppress(LeaseLostError, NotFoundError):
            await self._logins.release(document_id, owner=self._me)

    async def _revoked(self, owner: str, sealed: str) -> bool:
        try:
            token = self._sealer.open(sealed, owner)
            await self.api.call("authenticator", "revoke_token", None, token=token)
        except (DamagedError, TapisFault) as error:
            status = error.status if isinstance(error, TapisFault) else None
            log.warning("login.not_revoked", owner=owner, status=status)
            return False
        return True

    def _opened(self, login: Login, sealed: str) -> str:
        try:
            return self._sealer.open(sealed, login.owner)
        except DamagedError:
            raise self._over(login.owner) from None

    def _over(self, owner: str) -> LoginNeededError:
        return LoginNeededError(f"the Tapis login of {owner} is over; log in again at {self.login_url}")
