"""A mail server of the tests' own, by aiosmtpd, on a free port of loopback."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailBox:
    """Takes every mail, unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What the next recipients are answered with; then all are fine."""
    silent: bool = False
    """Whether connections are accepted and nothing is said."""
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.mails.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"

    def log_in(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"hunter2", handled=False)

    async def wait(self, count: int, *, within_s: float = 30) -> list[EmailMessage]:
        """Return the mails once there are so many."""
        async with asyncio.timeout(within_s):
            while len(self.mails) < count:
                await asyncio.sleep(0.02)
        return self.mails


@asynccontextmanager
async def mail_server(*, with_login: bool = False) -> AsyncIterator[MailBox]:
    """Run a mail server; ``with_login`` it takes mail from those who know the password only."""
    box = MailBox()
    loop = asyncio.get_running_loop()

    def connected() -> asyncio.Protocol:
        if box.silent:
            return asyncio.Protocol()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is on loopback, without TLS
            return SMTP(
                box,
                loop=loop,
                enable_SMTPUTF8=True,
                auth_required=with_login,
                auth_require_tls=False,
                authenticator=box.log_in if with_login else None,
            )

    server = await loop.create_server(connected, box.host, 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
