"""Where files are on a WebDAV server, and as whom we log in."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from shared.errors import InvalidInputError
from shared.source_settings import is_within_cluster

_NEXTCLOUD = "/remote.php/"
_FILES = "/remote.php/dav/files/"
_LEGACY_FILES = "/remote.php/webdav/"


@dataclass(frozen=True, slots=True)
class DavPlace:
    """A folder that all paths are relative to, with a login.

    Raises:
        InvalidInputError: The URL is none, holds a login, or would send one in the clear.
    """

    url: str
    """Ends in a slash."""
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""), repr=False)
    host_url: str = ""
    """Nextcloud's root, or any address on it; where empty, ``url`` tells, if it holds ``remote.php``."""
    allow_plain: bool = False
    """Whether the password may travel in the clear over networks that are not our own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _folder_url(self.url, "url"))
        if self.host_url:
            object.__setattr__(self, "host_url", _folder_url(self.host_url, "host_url"))
        for url in filter(None, (self.url, self.host_url)):
            self._check_plain(url)

    @property
    def authorization(self) -> str:
        """Return the header that goes along with every request; nothing without a login."""
        login = f"{self.username}:{self.password.get_secret_value()}"
        return f"Basic {b64encode(login.encode()).decode()}" if login != ":" else ""

    @property
    def root(self) -> str:
        """Return the decoded path of the folder on its server, with a leading slash and none behind."""
        return "/" + unquote(urlsplit(self.url).path, errors="surrogateescape").strip("/")

    @property
    def nextcloud_url(self) -> str:
        """Return Nextcloud's root without a slash behind; nothing where this cannot be one."""
        for url in (self.host_url, self.url):
            if _NEXTCLOUD in url:
                return url.partition(_NEXTCLOUD)[0]
        return self.host_url.rstrip("/")

    @property
    def home_path(self) -> tuple[str, str]:
        """Return the user's id on Nextcloud, if the URL tells it, and where in the user's home this is."""
        path = urlsplit(self.url).path
        if _FILES in path:
            user, _, below = path.partition(_FILES)[2].partition("/")
            return unquote(user), unquote(below).strip("/")
        return "", unquote(path.partition(_LEGACY_FILES)[2]).strip("/")

    def _check_plain(self, url: str) -> None:
        parts = urlsplit(url)
        is_near = is_within_cluster(parts.hostname or "")
        if parts.scheme == "http" and self.authorization and not (is_near or self.allow_plain):
            raise InvalidInputError(
                f"{url}: the password would travel in the clear: write https://", field="url", value=url
            )


def nextcloud_files_url(host_url: str, username: str) -> str:
    """Return the address of a user's files on the Nextcloud at ``host_url``."""
    return f"{host_url.partition(_NEXTCLOUD)[0].rstrip('/')}{_FILES}{quote(username, safe='')}/"


def _folder_url(url: str, field_name: str) -> str:
    """Return a URL with a slash behind; one that is refused is not repeated, since it may hold a password."""
    try:
        parts = urlsplit(url.strip())
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not url.isprintable():
        raise InvalidInputError(f"{field_name}: expected https:// and a host", field=field_name)
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError(
            f"{field_name} holds a login: give username and password beside it", field=field_name
        )
    if parts.query or parts.fragment or ".." in unquote(parts.path).split("/"):
        raise InvalidInputError(f"{field_name}: expected a folder's plain address", field=field_name)
    path = quote(unquote(parts.path, errors="surrogateescape"), safe="/", errors="surrogateescape")
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}/"
