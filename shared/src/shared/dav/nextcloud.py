"""What Nextcloud has beyond WebDAV: tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from yarl import URL

from shared.dav import questions
from shared.dav.errors import ChangedError
from shared.dav.listing import resource_at
from shared.dav.model import DavFolder, DavResource, Tag
from shared.dav.multistatus import CAN_ASSIGN, DISPLAY_NAME, ID, PRINCIPAL
from shared.dav.paths import confined, decoded, encoded, why_not_confined
from shared.dav.verbs import folder_told, resource_told
from shared.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from shared.dav.exchange import Exchange

_DAV = "/remote.php/dav"
_NUMBER_AT_MOST_DIGITS = 18


@dataclass
class Nextcloud:
    """Tags of a Nextcloud, and files with their tags.

    Its old address, ``remote.php/webdav``, tells no tags: then ``remote.php/dav/files/USER`` is asked.
    """

    at: Exchange
    _home: str = field(default="", init=False)

    async def has_tags(self) -> bool:
        """Return whether this is a Nextcloud with tags."""
        if not self.at.place.nextcloud_url:
            return False
        try:
            await self.at.entries("PROPFIND", self._url("systemtags/"), questions.TAGS)
        except (NotFoundError, InvalidInputError):
            return False
        return True

    async def tags(self) -> tuple[Tag, ...]:
        """Return all tags that this user may see."""
        answered = await self.at.entries("PROPFIND", self._url("systemtags/"), questions.TAGS, depth=1)
        return tuple(
            Tag(int(number), tag.texts.get(DISPLAY_NAME, ""), tag.texts.get(CAN_ASSIGN) != "false")
            for tag in answered
            if (number := tag.texts.get(ID, "")).isdecimal() and len(number) <= _NUMBER_AT_MOST_DIGITS
        )

    async def untag(self, file_id: int, tag_id: int) -> None:
        """Take a tag off a file; it does not matter if it is off already."""
        url = self._url(f"systemtags-relations/files/{file_id:d}/{tag_id:d}")
        await self.at.answer("DELETE", url, 200, 204, 404)

    async def tagged(self, tag_id: int) -> tuple[DavResource, ...]:
        """Return what lies below the place and bears a tag; Nextcloud looks through the whole home."""
        home = await self._home_url()
        try:
            answered = await self.at.entries("REPORT", URL(home, encoded=True), questions.tagged_with(tag_id))
        except ChangedError:  # so it says that there is no such tag
            return ()
        above = decoded(URL(home, encoded=True).raw_path) + f"/{self.at.place.home_path[1]}"
        above = above.rstrip("/") + "/"
        found = {
            resource.path.removeprefix(above): resource
            for resource in answered
            if resource.path.startswith(above)
        }
        return tuple(
            resource_at(path, resource)
            for path, resource in sorted(found.items())
            if not why_not_confined(path)
        )

    async def folder(self, path: str) -> DavFolder:
        """List a folder with the tags of what lies in it."""
        return await folder_told(self.at, await self._file_url(path), path, questions.FILES_AND_TAGS)

    async def look(self, path: str) -> DavResource:
        """Look at one thing and its tags."""
        return await resource_told(self.at, await self._file_url(path), path, questions.FILES_AND_TAGS)

    async def _file_url(self, path: str) -> URL:
        """Return the address at which a file's tags are told; the place's own where this is no Nextcloud."""
        place = self.at.place
        if place.home_path[0] or "/remote.php/webdav/" not in place.url:
            return self.at.url(path)
        parts = (place.home_path[1], confined(path))
        return URL(await self._home_url() + encoded("/".join(filter(None, parts))), encoded=True)

    async def _home_url(self) -> str:
        """Return the user's home; a login name need not be the user's id, so the server is asked."""
        if not self._home:
            user = self.at.place.home_path[0] or await self._user_id()
            self._home = str(self._url(f"files/{quote(user, safe='')}/"))
        return self._home

    async def _user_id(self) -> str:
        try:
            answered = await self.at.entries("PROPFIND", self._url(""), questions.WHO)
        except NotFoundError:
            return self.at.place.username
        told = next((entry.texts[PRINCIPAL] for entry in answered if PRINCIPAL in entry.texts), "")
        return decoded(told).rpartition("/")[2] or self.at.place.username

    def _url(self, path: str) -> URL:
        root = self.at.place.nextcloud_url
        if not root:
            raise InvalidInputError(
                "this is no Nextcloud address, so there are no tags: set host_url to Nextcloud's root",
                field="host_url",
            )
        return URL(f"{root}{_DAV}/{path}", encoded=True)
