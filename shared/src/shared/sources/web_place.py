"""Where on the web a flight is, and by what of its URL it is known for ever."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from shared.redaction import is_secret_name
from shared.sources.http import Http
from shared.sources.port import Elsewhere

_OF_THE_SIGNATURE = re.compile(r"x-(amz|goog|ms)-.*|awsaccesskeyid|expires|sig|se|sp|sv|st|sr", re.IGNORECASE)
"""Names that presigned URLs have in their query; they change from day to day."""


@dataclass(frozen=True, slots=True)
class WebPlace:
    """A URL, checked."""

    url: URL

    @property
    def uri(self) -> str:
        """Return the URL, which opens the source again."""
        return str(self.url)

    @property
    def host(self) -> str:
        """Return the host, with its port unless that is the usual one."""
        return self.url.host_port_subcomponent or ""

    @property
    def path(self) -> str:
        """Return the path, decoded, with what of the query is not a signature."""
        query = self.url.query
        kept = [name for name in query if not _OF_THE_SIGNATURE.fullmatch(name) and not is_secret_name(name)]
        asked = "&".join(f"{name}={value}" for name in kept for value in query.getall(name))
        return unquote(self.url.raw_path).strip("/") + (f"?{asked}" if asked else "")

    def below(self, path: str) -> URL:
        """Return the URL of what lies at an encoded path below this folder."""
        base = self.url.raw_path.rstrip("/")
        return self.url.with_query(None).with_path(f"{base}/{path}", encoded=True)


@dataclass
class OnTheWeb(Elsewhere):
    """What sources that have a URL have in common."""

    http: Http
    place: WebPlace

    @property
    def uri(self) -> str:
        """Return the URL."""
        return self.place.uri

    @property
    def system_id(self) -> str:
        """Return the server's host."""
        return self.place.host

    @property
    def path(self) -> str:
        """Return the path on the server."""
        return self.place.path
