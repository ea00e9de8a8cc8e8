"""Who asks: users and the tokens that they carry."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, SecretStr


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request, and what they may see besides their own."""

    name: str
    is_admin: bool = False
    """May read what belongs to others, and change nothing of it."""
    archive_token: SecretStr | None = None
    """Opens the archive to them; None: the archive's public frames only."""


class User(BaseModel):
    """Somebody with sessions; the name is the document's."""

    model_config = ConfigDict(frozen=True)

    name: str
    salt: str = ""
    password_hash: str = ""
    """Empty: nobody can log in by password."""
    passes: int = 1
    """scrypt's ``p`` when the password was hashed."""
    is_admin: bool = False
    from_portal: bool = False
    """Known by the portal's word; a token of the portal never opens an account that was made here."""
    created_us: int


class Token(BaseModel):
    """A token that opens an account; its SHA-256 is the document's name, and the token itself is not kept."""

    model_config = ConfigDict(frozen=True)

    user: str
    label: str = ""
    created_us: int
    used_us: int = 0
    """When it was used last, within some minutes; 0: never."""
    from_portal: bool = False
    """It opens the archive, too."""
