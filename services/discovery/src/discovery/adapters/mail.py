"""Sends e-mail by one SMTP server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

import aiosmtplib
from pydantic import SecretStr

from discovery.domain.notifications import Notice, subject, text
from shared.errors import PermanentError, TransientError

WITHIN_S = 30.0
_REFUSED = 500
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    username: str = ""
    password: SecretStr | None = None
    within_s: float = WITHIN_S

    @property
    def name(self) -> str:
        """The server as messages call it."""
        return f"the mail server {self.host}:{self.port}"

    async def send(self, notice: Notice, to: str) -> None:
        """Send a notice to one address; the same notice always has the same Message-ID.

        Raises:
            PermanentError: The server does not take mail for this address, or from us.
            TransientError: It is away, busy, or refuses our login.
        """
        message = mail_of(notice, sender=self.sender, to=to)
        try:
            async with asyncio.timeout(self.within_s):
                await self._hand_in(message)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _refusal(f"{self.name} refuses the address", refused.recipients[0]) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise TransientError(f"{self.name} refuses the login ({error.code})") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(f"{self.name} refuses the mail", error) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise TransientError(f"{self.name} cannot be reached: {type(error).__name__}") from None

    async def _hand_in(self, message: EmailMessage) -> None:
        secret = self.password.get_secret_value() if self.password and self.username else None
        await aiosmtplib.send(
            message,
            hostname=self.host,
            port=self.port,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
            username=self.username or None,
            password=secret,
            timeout=self.within_s,
        )


def mail_of(notice: Notice, *, sender: str, to: str) -> EmailMessage:
    """Return a notice as an e-mail."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = _printable(subject(notice))
    message["Date"] = format_datetime(notice.happened_at)
    message["Message-ID"] = f"<{notice.key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text(notice).encode(errors="replace").decode())
    return message


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() else " " for one in line).encode(errors="replace").decode()


def _refusal(what: str, said: aiosmtplib.SMTPResponseException) -> PermanentError | TransientError:
    kind = PermanentError if said.code >= _REFUSED else TransientError
    return kind(f"{what} ({said.code})")
