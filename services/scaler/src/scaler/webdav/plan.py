"""What to do on which WebDAV server: settings and the user's constants, read anew while the service runs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from scaler.config import Settings
from scaler.domain.constants import SCALER_CONSTANTS, ScalerConstants
from shared.constants import WEBDAV, Constants, parse_constant, webdav_constants
from shared.dav import DavPlace
from shared.errors import InvalidInputError
from shared.settings import PlatformSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """A server, two folders on it, and which names count; two that are equal are worked on alike."""

    place: DavPlace
    raw: str
    unsorted: str
    prefixes: tuple[str, ...]

    @property
    def raw_url(self) -> str:
        """Return the URL of the raw folder, without login."""
        return f"{self.place.url}{quote(self.raw)}"

    def uri(self, path: str) -> str:
        """Return what events call a file: ``davs://``, or ``dav://`` where the server speaks plain http."""
        return f"{self.place.url}{quote(path)}".replace("http", "dav", 1)


@dataclass(frozen=True, slots=True)
class Plans:
    """Where the plan comes from."""

    settings: Settings
    platform: PlatformSettings
    constants: Constants

    @property
    def may_change(self) -> bool:
        """Return whether there can be a plan, or another one, later."""
        return self.settings.webdav and bool(self.constants.where)

    async def current(self) -> Plan | None:
        """Return what to do now; None: nothing is configured.

        Raises:
            InvalidInputError: What is configured cannot be used; the message says what to change.
            TransientError: The constants cannot be read now.
        """
        if not self.settings.webdav:
            return None
        own = parse_constant(
            ScalerConstants,
            SCALER_CONSTANTS,
            await self.constants.read(SCALER_CONSTANTS),
            {
                "RAW_NAMES_PREFIXES": self.settings.raw_names_prefixes,
                "RAW_REMOTE_DIR": self.settings.raw_remote_dir,
                "UNSORTED_REMOTE_DIR": self.settings.unsorted_remote_dir,
            },
            prefix="SCALER_",
        )
        if own is None:
            return None
        login = webdav_constants(self.platform, await self.constants.read(WEBDAV))
        if login is None:
            raise InvalidInputError(
                "it is known what to scale, but not on which server: add the secret webdav to the constants,"
                " or set FLIGHTLINE_WEBDAV_URL, FLIGHTLINE_WEBDAV_USERNAME and FLIGHTLINE_WEBDAV_PASSWORD"
            )
        return Plan(login.place(), own.raw, own.unsorted, own.prefixes)
