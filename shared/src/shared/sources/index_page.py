"""Pages on which web servers list a folder: those of Apache, nginx, Caddy, Python and the like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

from typing_extensions import override
from yarl import URL

from shared.errors import InvalidInputError
from shared.sources.http import Document
from shared.sources.http_answers import shown
from shared.sources.names import why_not_confined

NAMES_AT_MOST = 100_000
_LISTING = re.compile(
    r"<(title|h1)[^>]*>\s*(index of|directory listing|listing of|directory:)", re.IGNORECASE
)


@dataclass(slots=True)
class Page:
    """What a page lists, by name."""

    files: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    """Size and time of each file, where the page tells both exactly."""
    folders: set[str] = field(default_factory=set)


def parsed(document: Document) -> Page:
    """Return what lies directly in the folder of a page.

    Raises:
        InvalidInputError: This is no listing; any page without links looks like an empty one.
    """
    text = document.body.decode(errors="replace")
    if "json" in document.headers.get("Content-Type", ""):
        return _of_json(text, document.url)
    page = _of_links(text, document.url)
    if not (page.files or page.folders or _LISTING.search(text)):
        raise InvalidInputError(f"{shown(document.url)} is no listing of a folder", field="source")
    return page


def _of_links(text: str, url: URL) -> Page:
    links = _Links()
    links.feed(text)
    links.close()
    page = Page()
    folder = url.raw_path if url.raw_path.endswith("/") else f"{url.raw_path.rpartition('/')[0]}/"
    for href in links.found:
        name, is_folder = _child(href, url, folder)
        if not name:
            continue
        if is_folder:
            page.folders.add(name)
        else:
            page.files[name] = None
        _check_count(page, url)
    return page


def _child(href: str, url: URL, folder: str) -> tuple[str, bool]:
    """Return the name in the folder that a link means, none if it leads away, and whether it is a folder."""
    try:
        target = url.join(URL(href.strip(), encoded="%" in href))
    except ValueError:
        return "", False
    if (
        not target.host
        or target.origin() != url.origin()
        or not target.raw_path.startswith(folder)
        or target.query_string
    ):
        return "", False
    rest = target.raw_path[len(folder) :]
    name = unquote(rest.rstrip("/"))
    if not name or "/" in name or why_not_confined(name):
        return "", False
    return name, rest.endswith("/")


def _of_json(text: str, url: URL) -> Page:
    """Read what nginx lists with ``autoindex_format json``."""
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise InvalidInputError(f"{shown(url)} is no listing of a folder", field="source")
    page = Page()
    for item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name or "/" in name or why_not_confined(name):
            continue
        if item.get("type") == "directory":
            page.folders.add(name)
        elif item.get("type") == "file":
            page.files[name] = _told(item)
        _check_count(page, url)
    return page


def _told(item: dict[str, Any]) -> tuple[int, str] | None:
    size, modified = item.get("size"), item.get("mtime")
    return (size, modified) if isinstance(size, int) and isinstance(modified, str) and modified else None


def _check_count(page: Page, url: URL) -> None:
    if len(page.files) + len(page.folders) > NAMES_AT_MOST:
        raise InvalidInputError(f"{shown(url)} lists more than {NAMES_AT_MOST} names", field="source")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a link leads."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
