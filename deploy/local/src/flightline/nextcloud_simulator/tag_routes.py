"""Lists of tags, and which file has which: ``systemtags`` and ``systemtags-relations``."""

from __future__ import annotations

import json
from http import HTTPStatus

from flightline.nextcloud_simulator import properties
from flightline.nextcloud_simulator.answers import Answer, RefusedError, multi_status
from flightline.nextcloud_simulator.index import Node, Tag
from flightline.nextcloud_simulator.nextcloud import Nextcloud
from flightline.nextcloud_simulator.requests import Request

TAGS = "/remote.php/dav/systemtags"
RELATIONS = "/remote.php/dav/systemtags-relations/files"


def answer_tags(nextcloud: Nextcloud, request: Request) -> Answer:
    """Answer what is asked of the list of all tags."""
    rest = request.path.removeprefix(TAGS).strip("/")
    if request.method == "POST" and not rest:
        tag = _create(nextcloud, request)
        return Answer(HTTPStatus.CREATED, {"Content-Location": f"{TAGS}/{tag.id}"})
    tags = [tag for tag in nextcloud.tags().values() if tag.is_visible]
    if rest:
        tags = [_tag(nextcloud, rest)]
    if request.method == "PROPFIND":
        return _listed(request, TAGS, tags, is_list=not rest)
    if request.method == "DELETE" and rest:
        raise RefusedError(403, "Not sufficient permissions to delete tag")
    raise RefusedError(405, f"{request.method} is not for tags")


def answer_relations(nextcloud: Nextcloud, request: Request) -> Answer:
    """Answer what is asked of the tags of one file."""
    file_id, _, tag_id = request.path.removeprefix(RELATIONS).strip("/").partition("/")
    with nextcloud.tree.lock:
        node = nextcloud.tree.index.node_of(int(file_id)) if file_id.isdecimal() else None
        if node is None or nextcloud.tree.look(node.path) is None:
            raise RefusedError(404, f"File with id {file_id} not found")
        if not tag_id and request.method == "PROPFIND":
            return _listed(request, f"{RELATIONS}/{file_id}", nextcloud.visible_tags(node), is_list=True)
        match request.method:
            case "PUT":
                return _assign(nextcloud, node, tag_id)
            case "DELETE":
                return _unassign(nextcloud, node, tag_id)
            case _:
                raise RefusedError(405, f"{request.method} is not for the tags of a file")


def _assign(nextcloud: Nextcloud, node: Node, tag_id: str) -> Answer:
    tag = nextcloud.tags().get(int(tag_id)) if tag_id.isdecimal() else None
    if tag is None or not tag.is_visible:
        raise RefusedError(412, f"Tag with id {tag_id} does not exist, cannot assign")
    if not tag.is_assignable:
        raise RefusedError(403, f"No permission to assign tag {tag_id}")
    if not nextcloud.tree.index.assign(node.id, tag.id):
        raise RefusedError(409, "PUT is not allowed on non-files.")
    return Answer(HTTPStatus.CREATED)


def _unassign(nextcloud: Nextcloud, node: Node, tag_id: str) -> Answer:
    tag = _tag(nextcloud, tag_id)
    if tag.id not in nextcloud.tree.index.tag_ids_of(node.id):
        raise RefusedError(404, f"Tag with id {tag_id} not present for object {node.id}")
    if not tag.is_assignable:
        raise RefusedError(403, f"No permission to unassign tag {tag_id}")
    nextcloud.tree.index.unassign(node.id, tag.id)
    return Answer(HTTPStatus.NO_CONTENT)


def _tag(nextcloud: Nextcloud, tag_id: str) -> Tag:
    tag = nextcloud.tags().get(int(tag_id)) if tag_id.isdecimal() else None
    if tag is None or not tag.is_visible:
        raise RefusedError(404, f"Tag with id {tag_id} not found")
    return tag


def _listed(request: Request, base: str, tags: list[Tag], *, is_list: bool) -> Answer:
    wanted = properties.asked(request.body())
    responses = [properties.collection_response(f"{base}/", wanted)] if is_list else []
    if not is_list or request.headers.get("Depth", "1") != "0":
        responses += [properties.tag_response(base, tag, wanted) for tag in tags]
    return multi_status(responses)


def _create(nextcloud: Nextcloud, request: Request) -> Tag:
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(415)
    try:
        given = json.loads(request.body())
        name = str(given["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(400, 'Missing "name" attribute') from error
    if not (given.get("userVisible", True) and given.get("userAssignable", True)):
        raise RefusedError(400, "Not sufficient permissions")
    return nextcloud.new_tag(name)
