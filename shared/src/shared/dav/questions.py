"""Bodies of requests, encoded once."""

from __future__ import annotations

_NAMESPACES = 'xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"'
_FILE_PROPS = (
    "<d:resourcetype/><d:getcontentlength/><d:getetag/><d:getlastmodified/><oc:checksums/><oc:fileid/>"
)


def _propfind(props: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><d:propfind {_NAMESPACES}>'
        f"<d:prop>{props}</d:prop></d:propfind>"
    ).encode()


FILES = _propfind(_FILE_PROPS)
FILES_AND_TAGS = _propfind(f"{_FILE_PROPS}<nc:system-tags/>")
TAGS = _propfind("<oc:id/><oc:display-name/><oc:can-assign/>")
WHO = _propfind("<d:current-user-principal/>")


def tagged_with(tag_id: int) -> bytes:
    """Return the question for all files that bear a tag."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><oc:filter-files {_NAMESPACES}>'
        f"<d:prop>{_FILE_PROPS}<nc:system-tags/></d:prop>"
        f"<oc:filter-rules><oc:systemtag>{tag_id:d}</oc:systemtag></oc:filter-rules></oc:filter-files>"
    ).encode()
