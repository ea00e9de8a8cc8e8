"""Who may log in: a password, app passwords, and sessions kept in cookies."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from flightline.nextcloud_simulator.answers import RefusedError

_SESSION = "oc_sessionPassphrase"


@dataclass(slots=True)
class Account:
    """The user of the simulated server.

    Attributes:
        login_s: What a login with the password costs; one with an app password, or with a session of the same
            login, costs nothing.
    """

    user: str
    password: str
    app_passwords: set[str] = field(default_factory=set)
    login_s: float = 0.0
    sessions: dict[str, str] = field(default_factory=dict)
    """Passwords by session."""

    def new_app_password(self) -> str:
        """Make an app password, in the form that Nextcloud gives them."""
        groups = (secrets.token_hex(3)[:5] for _ in range(5))
        password = "-".join(groups)
        self.app_passwords.add(password)
        return password

    def change_password(self, password: str) -> None:
        """Change the password; nobody stays logged in, app passwords neither."""
        self.password = password
        self.app_passwords.clear()
        self.sessions.clear()

    def log_in(self, authorization: str, cookie: str) -> dict[str, str]:
        """Check a request's login.

        Returns:
            Headers that begin a session, if none came along.

        Raises:
            RefusedError: 401.
        """
        user, password = _basic(authorization)
        is_app = any(_equal(password, one) for one in self.app_passwords)
        if not _equal(user, self.user) or not (is_app or _equal(password, self.password)):
            raise RefusedError(
                401,
                "No public access to this resource., Username or password was incorrect",
                headers={"WWW-Authenticate": 'Basic realm="Nextcloud", charset="UTF-8"'},
            )
        session = _session(cookie)
        if session and self.sessions.get(session) == password:
            return {}
        if self.login_s and not is_app:
            time.sleep(self.login_s)
        session = secrets.token_urlsafe(24)
        self.sessions[session] = password
        while len(self.sessions) > 10_000:  # noqa: PLR2004 - clients without cookies begin one each time
            self.sessions.pop(next(iter(self.sessions)), None)
        return {"Set-Cookie": f"{_SESSION}={session}; path=/; HttpOnly; SameSite=Lax"}


def _basic(authorization: str) -> tuple[str, str]:
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _session(cookie: str) -> str:
    try:
        found = SimpleCookie(cookie).get(_SESSION)
    except CookieError:
        return ""
    return found.value if found else ""
