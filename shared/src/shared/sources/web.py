"""WebDAV and web servers: which may be asked, with which login, and what a URL means there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import SecretStr
from yarl import URL

from shared.bulk import open_bulk
from shared.errors import InvalidInputError
from shared.outside import guard_of, outside_session
from shared.source_settings import SourceSettings, is_loopback
from shared.sources.dav import DavSource
from shared.sources.http import Http, Reach
from shared.sources.http_answers import checked, shown
from shared.sources.index import IndexSource
from shared.sources.manifest import ManifestSource
from shared.sources.names import confined
from shared.sources.port import Source
from shared.sources.web_place import WebPlace
from shared.sources.zip_source import ZipSource

_USUAL_PORTS = {"dav": 80, "davs": 443}
_ZIP_TYPES = ("application/zip", "application/x-zip-compressed")


@dataclass(frozen=True, slots=True)
class Web:
    """Servers by URL."""

    settings: SourceSettings
    guarded: Reach
    """For any address that others name."""
    trusted: Reach
    """For hosts that an operator gave us a login for."""

    def dav(self, uri: str) -> DavSource:
        """Return a folder of a WebDAV server.

        Raises:
            InvalidInputError: The URI is malformed, holds a login, or would send one in the clear.
        """
        scheme, _, rest = uri.partition("://")
        host, _, path = rest.partition("/")
        url = _server(scheme.lower(), host, uri)
        root = confined(unquote(path).strip("/"))
        login = self._login(scheme.lower(), url)
        if scheme.lower() == "dav":
            self._check_plain(url)
        if login is None:
            http = Http(self.guarded, follows=False, allow_plain=self.settings.allow_private_urls)
        else:
            basic = b64encode(login.get_secret_value().encode()).decode()
            http = Http(self.trusted, {"Authorization": f"Basic {basic}"}, follows=False)
        return DavSource(http, scheme.lower(), url.host_port_subcomponent or host, root)

    async def source(self, uri: str) -> Source:
        """Return what a web address holds: a manifest, an archive, or a folder that has a page.

        Raises:
            InvalidInputError: None of them.
        """
        allow_plain = self.settings.allow_private_urls
        try:
            url = checked(URL(uri).with_fragment(None), allow_plain=allow_plain)
        except ValueError:
            raise InvalidInputError("the source is no valid URL", field="source") from None
        http = Http(self.guarded, allow_plain=allow_plain)
        kind = _kind_by_name(url) or await _kind_by_answer(http, url)
        match kind:
            case "json":
                return ManifestSource(http, WebPlace(url))
            case "zip":
                return ZipSource(http, WebPlace(url))
            case "page":
                folder = url.with_query(None).with_path(f"{url.raw_path.rstrip('/')}/", encoded=True)
                return IndexSource(http, WebPlace(folder))
            case _:
                raise InvalidInputError(
                    f"{shown(url)} is neither a manifest (JSON), nor a ZIP archive, nor a folder's page",
                    field="source",
                )

    def _login(self, scheme: str, url: URL) -> SecretStr | None:
        """Return the login for a server: one named without a port counts for the usual port only."""
        logins = self.settings.dav_logins
        is_usual = url.port == _USUAL_PORTS[scheme]
        return logins.get(f"{url.host}:{url.port}") or (logins.get(url.host or "") if is_usual else None)

    def _check_plain(self, url: URL) -> None:
        if not (self.settings.allow_private_urls or is_loopback(url.host or "")):
            raise InvalidInputError(
                "dav:// is not encrypted: write davs://, or have FLIGHTLINE_ALLOW_PRIVATE_URLS set",
                field="source",
            )


def _server(scheme: str, host: str, uri: str) -> URL:
    """Return the server's URL; the URI itself is repeated only where it can hold no password."""
    if "@" in host:
        raise InvalidInputError("a source holds no login; give it in FLIGHTLINE_DAV_LOGINS", field="source")
    try:
        url = URL(f"{'https' if scheme == 'davs' else 'http'}://{host}/")
    except ValueError:
        url = URL()
    if not url.host:
        raise InvalidInputError(f"{uri!r} names no server: davs://host/path", field="source", value=uri)
    return url


def _kind_by_name(url: URL) -> str:
    if url.path.endswith("/"):
        return "page"
    return {".json": "json", ".zip": "zip"}.get(url.suffix.lower(), "")


async def _kind_by_answer(http: Http, url: URL) -> str:
    async with http.answer("GET", url, 200, headers={"Accept-Encoding": "identity"}) as answer:
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_folder = answer.url.path.endswith("/")
        answer.close()
    if kind in _ZIP_TYPES:
        return "zip"
    if kind == "text/html" or is_folder:
        return "page"
    return "json" if kind.endswith("json") else ""


@asynccontextmanager
async def open_web(settings: SourceSettings) -> AsyncIterator[Web]:
    """Open sessions for servers that others name, and for those that an operator named."""
    async with (
        _reach(allow_private=settings.allow_private_urls) as guarded,
        _reach(allow_private=True) as trusted,
    ):
        yield Web(settings, guarded, trusted)


@asynccontextmanager
async def _reach(*, allow_private: bool) -> AsyncIterator[Reach]:
    guard = guard_of(allow_private=allow_private)
    async with (
        outside_session(allow_private=allow_private) as session,
        open_bulk(allowed=guard.allowed) as bulk,
    ):
        yield Reach(session, bulk)
