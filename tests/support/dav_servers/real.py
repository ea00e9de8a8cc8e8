"""A real Nextcloud, where the environment names one: a folder for every test, removed at the end."""

from __future__ import annotations

import json
import os
import re
import secrets
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from shared.dav.place import DavPlace
from tests.support.dav_servers.running import RunningDav, place_at

URL, LOGIN_NAME, APP_PASSWORD = (
    f"FLIGHTLINE_TEST_NEXTCLOUD_{name}" for name in ("URL", "USER", "APP_PASSWORD")
)
_OC = "{http://owncloud.org/ns}"
_DAV = "{DAV:}"
_LIST = (
    b'<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns">'
    b"<d:prop><d:resourcetype/><oc:fileid/><oc:id/><oc:display-name/><nc:system-tags/></d:prop></d:propfind>"
)
_TAG = "{http://nextcloud.org/ns}system-tag"


def is_named() -> bool:
    """Return whether the environment names a real Nextcloud."""
    return bool(os.environ.get(URL))


@contextmanager
def real(_root: Path) -> Iterator[RunningDav]:
    """Give a new folder on the real Nextcloud until the block ends."""
    if not is_named():
        pytest.skip(f"{URL} does not name a Nextcloud")
    url, user = os.environ[URL].rstrip("/"), os.environ[LOGIN_NAME]
    home = f"{url}/remote.php/dav/files/{quote(user)}/"
    place = place_at(
        f"{home}flightline-test-{secrets.token_hex(6)}/",
        host_url=url,
        user=user,
        password=os.environ[APP_PASSWORD],
    )
    stored = OverHttp(place)
    stored.ask("MKCOL", place.url)
    try:
        yield RunningDav("real", place, stored, None)
    finally:
        stored.ask("DELETE", place.url)


@dataclass(frozen=True, slots=True)
class OverHttp:
    """What lies on a real Nextcloud, asked for by requests that share no code with the client under test."""

    place: DavPlace

    def put(self, path: str, content: bytes) -> None:
        """Put a file there, with its folders, whatever was there."""
        parts = path.split("/")[:-1]
        for depth in range(len(parts)):
            self.ask("MKCOL", self._url("/".join(parts[: depth + 1])), may_be=(405,))
        self.ask("PUT", self._url(path), content)

    def get(self, path: str) -> bytes:
        """Return a file's content."""
        return self.ask("GET", self._url(path))

    def names(self, folder: str = "") -> set[str]:
        """Return the paths, relative to the folder, of all files below it."""
        above = urlsplit(self._url(folder)).path.rstrip("/") + "/"
        responses = self._propfind(self._url(folder), "infinity")
        return {
            unquote(urlsplit(one.findtext(f"{_DAV}href") or "").path[len(above) :])
            for one in responses
            if one.find(f".//{_DAV}collection") is None
        }

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.ask("DELETE", self._url(path))

    def tag(self, path: str, *names: str) -> None:
        """Put tags on a file, making those that there are not."""
        (response,) = self._propfind(self._url(path), "0")
        file_id = response.findtext(f".//{_OC}fileid")
        for name in names:
            tag_id = self._tag_id(name)
            relation = f"{self._root}/systemtags-relations/files/{file_id}/{tag_id}"
            self.ask("PUT", relation, b"", may_be=(409,))

    def tags_of(self, path: str) -> set[str]:
        """Return the names of a file's tags."""
        (response,) = self._propfind(self._url(path), "0")
        return {tag.text or "" for tag in response.iter(_TAG)}

    def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        may_be: tuple[int, ...] = (),
        **headers: str,
    ) -> bytes:
        """Send a request and return the body of its answer."""
        request = urllib.request.Request(url, body, method=method)
        for name, value in {"Authorization": self.place.authorization, **headers}.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in may_be:
                return b""
            raise

    def _tag_id(self, name: str) -> str:
        tags = self._propfind(f"{self._root}/systemtags/", "1")
        for tag in tags:
            if tag.findtext(f".//{_OC}display-name") == name:
                return tag.findtext(f".//{_OC}id") or ""
        new = json.dumps({"name": name, "userVisible": True, "userAssignable": True}).encode()
        self.ask("POST", f"{self._root}/systemtags/", new, Content_Type="application/json")
        return self._tag_id(name)

    def _propfind(self, url: str, depth: str) -> list[ET.Element]:
        body = self.ask("PROPFIND", url, _LIST, Depth=depth, Content_Type="application/xml")
        return ET.fromstring(body).findall(f"{_DAV}response")

    @property
    def _root(self) -> str:
        return re.sub(r"/remote\.php/.*", "/remote.php/dav", self.place.url)

    def _url(self, path: str) -> str:
        return self.place.url + quote(path)
