"""The verbs on files and folders, below ``/remote.php/dav/files/USER`` and ``/remote.php/webdav``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flightline.nextcloud_simulator import names, properties
from flightline.nextcloud_simulator.answers import Answer, RefusedError, multi_status
from flightline.nextcloud_simulator.index import Node, Tag
from flightline.nextcloud_simulator.nextcloud import Nextcloud, visible
from flightline.nextcloud_simulator.properties import OC, Shown
from flightline.nextcloud_simulator.requests import Request

FEATURES = "1, 3, extended-mkcol, access-control, 2, oc-resource-sharing, nc-calendar-search"
OLD_HOME = "/remote.php/webdav"
_HASHES = ("md5", "sha1", "sha256")
_METHODS = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT, PATCH"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about one path of the user's home."""

    nextcloud: Nextcloud
    request: Request
    base: str
    """Where the home lies in addresses."""
    path: str
    """Relative to the home."""

    @property
    def node(self) -> Node:
        """Return what lies there.

        Raises:
            RefusedError: Nothing.
        """
        return self.nextcloud.tree.existing(self.path)

    @property
    def tells_tags(self) -> bool:
        """Return whether the home is asked for at the address that knows of tags; the old one does not."""
        return self.base != OLD_HOME

    def tags_of(self, node: Node) -> list[Tag] | None:
        """Return the tags of a file as far as they are told."""
        return self.nextcloud.visible_tags(node) if self.tells_tags else None


def options(asked: Asked) -> Answer:
    """Say what the server can do."""
    features = FEATURES + (", nextcloud-checksum-update" if asked.nextcloud.checks_content else "")
    return Answer(200, {"DAV": features, "Allow": _METHODS, "MS-Author-Via": "DAV"})


def propfind(asked: Asked) -> Answer:
    """List a folder, or tell about a file."""
    wanted = properties.asked(asked.request.body())
    with asked.nextcloud.tree.lock:
        shown = list(_shown(asked, asked.node, asked.request.headers.get("Depth", "infinity"), wanted))
    return multi_status(properties.file_response(asked.base, one, wanted) for one in shown)


def _shown(asked: Asked, node: Node, depth: str, wanted: tuple[str, ...]) -> Iterator[Shown]:
    used = asked.nextcloud.tree.used_bytes() if f"{OC}size" in wanted else 0
    yield Shown(node, asked.tags_of(node), used)
    if depth == "0" or not node.is_folder:
        return
    nodes = asked.nextcloud.tree.children(node.path)
    tags, ids = asked.nextcloud.tags(), asked.nextcloud.tree.index.tag_ids_below(node.path)
    for child in nodes:
        if child.is_folder and depth == "infinity":
            yield from _shown(asked, child, depth, wanted)
        else:
            yield Shown(child, visible(ids.get(child.id, ()), tags) if asked.tells_tags else None, used)


def report(asked: Asked) -> Answer:
    """Find the files with all of some tags, wherever they lie: the folder asked does not narrow it."""
    if not asked.node.is_folder:
        raise RefusedError(415, "The report is for folders")
    root = properties.parsed(asked.request.body())
    rules = root.find(f"{OC}filter-rules")
    if root.tag != f"{OC}filter-files" or rules is None or not len(rules):
        raise RefusedError(400, "Missing filter-rule block in request")
    ids = [(rule.text or "").strip() for rule in rules if rule.tag == f"{OC}systemtag"]
    with asked.nextcloud.tree.lock:
        found = _tagged(asked.nextcloud, ids)
        shown = [Shown(node, asked.tags_of(node)) for node in found]
    wanted = properties.properties_in(root)
    return multi_status(properties.file_response(asked.base, one, wanted) for one in shown)


def _tagged(nextcloud: Nextcloud, ids: list[str]) -> list[Node]:
    tags = {str(tag.id): tag for tag in nextcloud.tags().values() if tag.is_visible}
    if any(one not in tags for one in ids):
        raise RefusedError(412, "Cannot filter by non-existing tag")
    found: dict[int, Node] | None = None
    for one in ids:
        with_it = {node.id: node for node in nextcloud.tree.index.nodes_with(tags[one].name)}
        found = with_it if found is None else {key: found[key] for key in found.keys() & with_it.keys()}
    seen = (nextcloud.tree.look(node.path) for node in (found or {}).values())
    return sorted((node for node in seen if node is not None), key=lambda node: node.path)


def put(asked: Asked) -> Answer:
    """Store a file: whole or not at all."""
    tree, headers = asked.nextcloud.tree, asked.request.headers
    before = tree.look(asked.path)
    names.check_name(asked.path)
    if (before is not None and before.is_folder) or "Content-Range" in headers:
        raise RefusedError(409 if before else 400, "PUT is not allowed on non-files.")
    above = tree.look(asked.path.rpartition("/")[0])
    if above is None or not above.is_folder:
        raise RefusedError(404, "File not found: the parent folder does not exist")
    mtime_s = _mtime(headers.get("X-OC-MTime", ""))
    wanted = _hashes(headers.get("X-Hash", "")) if asked.nextcloud.checks_content else ()
    with tree.upload() as upload:
        digests = _receive(asked, upload, wanted, before.size_bytes if before else 0)
        node = tree.put(asked.path, upload, mtime_s)
    if checksum := headers.get("OC-Checksum"):  # never checked, as measured
        tree.index.set_checksum(asked.path, checksum)
    answer = {"OC-ETag": node.quoted_etag, "ETag": node.quoted_etag, "OC-FileId": _file_id(node)}
    answer |= {f"X-Hash-{name.upper()}": value for name, value in digests.items()}
    if mtime_s is not None:
        answer["X-OC-MTime"] = "accepted"
    return Answer(204 if before else 201, answer)


def _receive(asked: Asked, upload: Path, wanted: tuple[str, ...], replaced_bytes: int) -> dict[str, str]:
    """Read the body into a file nobody sees; refuse one that does not come whole or does not fit."""
    length = asked.request.length
    room = _room(asked.nextcloud, replaced_bytes)
    if room is not None and (length or 0) > room:
        raise RefusedError(507, f"Insufficient space in /{asked.path}, {length} required, {room} available")
    hashes = {name: hashlib.new(name) for name in wanted}
    size_bytes = 0
    with upload.open("wb") as file:
        for block in asked.request.blocks():
            size_bytes += len(block)
            if room is not None and size_bytes > room:
                raise RefusedError(507, f"Insufficient space in /{asked.path}")
            file.write(block)
            for one in hashes.values():
                one.update(block)
    if length is not None and size_bytes != length:
        raise RefusedError(
            400,
            f"Expected filesize of {length} bytes but read (from Nextcloud client) and wrote"
            f" (to Nextcloud storage) {size_bytes} bytes.",
        )
    return {name: one.hexdigest() for name, one in hashes.items()}


def _room(nextcloud: Nextcloud, replaced_bytes: int) -> int | None:
    quota = nextcloud.tree.quota_bytes
    return None if quota is None else max(0, quota - nextcloud.tree.used_bytes() + replaced_bytes)


def _hashes(asked_for: str) -> tuple[str, ...]:
    name = asked_for.strip().lower()
    return _HASHES if name == "all" else tuple(one for one in _HASHES if one == name)


def _mtime(text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,11}(\.\d+)?", text):
        raise RefusedError(400, "X-OC-MTime header must be an integer (unix timestamp).")
    return float(text)


def patch(asked: Asked) -> Answer:
    """Compute the hash of what is stored, and keep it as the checksum."""
    node, kind = asked.node, asked.request.headers.get("X-Recalculate-Hash", "").lower()
    if not asked.nextcloud.checks_content or node.is_folder or kind not in _HASHES:
        raise RefusedError(501, 'There was no handler found for this "PATCH" method')
    with asked.nextcloud.tree.place(asked.path).open("rb") as file:
        checksum = f"{kind.upper()}:{hashlib.file_digest(file, kind).hexdigest()}"
    asked.nextcloud.tree.index.set_checksum(asked.path, checksum)
    return Answer(204, {"OC-Checksum": checksum})


def mkcol(asked: Asked) -> Answer:
    """Make a folder."""
    tree = asked.nextcloud.tree
    if asked.request.length:
        raise RefusedError(415, "The request body for the MKCOL request must have an xml Content-Type")
    if tree.look(asked.path) is not None:
        raise RefusedError(405, "The resource you tried to create already exists")
    above = tree.look(asked.path.rpartition("/")[0])
    if above is None or not above.is_folder:
        raise RefusedError(409, "Parent node does not exist")
    names.check_name(asked.path)
    node = tree.make_folder(asked.path)
    return Answer(201, {"OC-FileId": _file_id(node)})


def delete(asked: Asked) -> Answer:
    """Put a file or folder into the trash."""
    if not asked.path:
        raise RefusedError(403, "The home cannot be deleted")
    with asked.nextcloud.tree.lock:
        _ = asked.node
        asked.nextcloud.tree.discard(asked.path)
    return Answer(204)


def move(asked: Asked) -> Answer:
    """Let a file or folder lie elsewhere."""
    tree = asked.nextcloud.tree
    target = _destination(asked)
    with tree.lock:
        there = tree.look(target)
        _check_target(asked, target, there)
        node = asked.node
        if there is not None:
            tree.discard(target)
        tree.move(asked.path, target)
    return Answer(204 if there else 201, {"OC-ETag": node.quoted_etag, "OC-FileId": _file_id(node)})


def check_copy(asked: Asked) -> None:
    """Refuse a copy that Nextcloud would refuse; what copies is wsgidav."""
    target = _destination(asked)
    _check_target(asked, target, asked.nextcloud.tree.look(target))


def _destination(asked: Asked) -> str:
    value = asked.request.headers.get("Destination", "")
    if not value:
        raise RefusedError(400, "The destination header was not supplied")
    path = names.destination_path(value)
    if path != asked.base and not path.startswith(f"{asked.base}/"):
        raise RefusedError(403, f"Requested uri ({path}) is out of base uri ({asked.base}/)")
    return path[len(asked.base) + 1 :]


def _check_target(asked: Asked, target: str, there: Node | None) -> None:
    above = asked.nextcloud.tree.look(target.rpartition("/")[0])
    if above is None or not above.is_folder:
        raise RefusedError(409, "The destination node is not found")
    if there is not None and asked.request.headers.get("Overwrite", "T").upper() == "F":
        raise RefusedError(
            412, "The destination node already exists, and the overwrite header is set to false"
        )
    if target == asked.path:
        raise RefusedError(403, "Source and destination uri are identical.")
    if target.startswith(f"{asked.path}/"):
        raise RefusedError(409, "The destination may not be part of the same subtree as the source path.")
    names.check_name(target)


def _file_id(node: Node) -> str:
    return f"{node.id:08d}{properties.INSTANCE}"
