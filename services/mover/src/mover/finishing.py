"""What earlier runs began is finished, from the journal; and stale tags are found wherever they come from."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from mover.domain.categories import category_text, folded
from mover.domain.deciding import Rules, fault_of, joined
from mover.domain.moves import Move, MoveState
from mover.journal import Journal
from mover.listing import Listed
from mover.moving import Mover
from mover.tally import Tally
from shared.dav import Dav, DavResource, RefusedError, Tag
from shared.errors import NotFoundError
from shared.state import Document

log = structlog.get_logger()


async def finish(mover: Mover, listed: Listed, tally: Tally) -> None:
    """Go on with what earlier runs began: where a file lies tells how far they came.

    One request for each such file that lies unsorted no more, and one for its tag.
    """
    now_s, ids = datetime.now(UTC).timestamp(), listed.ids
    for line in await mover.journal.open():
        if line.body.due_s <= now_s:
            await _finish(mover, line, tally, is_unsorted=line.body.file_id in ids)


async def _finish(mover: Mover, line: Document[Move], tally: Tally, *, is_unsorted: bool) -> None:
    body = line.body
    if is_unsorted:  # it was not moved, or somebody put it back
        await mover.journal.forget(line)
    elif await _is_at_target(mover.dav, body):
        tally.count(await mover.untagged(line), is_late=True)
    elif body.is_duplicate:
        tally.count((await mover.journal.change(line, MoveState.DUPLICATE, error=None)).body)
    else:
        log.info("file.gone", file=body.source, target=body.target)
        await mover.journal.change(line, MoveState.GONE)


async def _is_at_target(dav: Dav, line: Move) -> bool:
    try:
        return (await dav.look(line.target)).file_id == line.file_id
    except NotFoundError:
        return False


async def repair(dav: Dav, journal: Journal, rules: Rules, tally: Tally) -> None:
    """Take tags off files that lie in the folder of just this category.

    The journal knows what this mover left behind; this finds what another one did, or one whose journal is
    lost. A request for all tags, and one for each of ours; files of other folders are nobody's business.
    """
    for tag in await dav.tags():
        category = category_text(tag.name, rules.parent)
        if category is not None and fault_of(category, rules) is None and tag.can_assign:
            await _repair_tag(dav, journal, joined(rules.root, category), tag, tally)


async def _repair_tag(dav: Dav, journal: Journal, folder: str, tag: Tag, tally: Tally) -> None:
    for file in await dav.tagged(tag.id):
        is_here = folded(file.path.rpartition("/")[0]) == folded(folder)
        bears_it = any(borne.id == tag.id for borne in file.tags)  # not only a tag of the same name
        if is_here and bears_it and not file.is_folder:
            await _take_off(dav, journal, file, tag, tally)


async def _take_off(dav: Dav, journal: Journal, file: DavResource, tag: Tag, tally: Tally) -> None:
    assert file.file_id is not None
    try:
        await dav.untag(file.file_id, tag.id)
    except RefusedError as error:
        if error.is_login:
            raise
        tally.note(f"{file.path}: {error}")
        return
    line = await journal.begin(_repaired(journal, file, tag))
    tally.count((await journal.change(line, MoveState.REPAIRED)).body, is_late=True)


def _repaired(journal: Journal, file: DavResource, tag: Tag) -> Move:
    assert file.file_id is not None
    now = datetime.now(UTC)
    return Move(
        state=MoveState.REPAIRED,
        place=journal.place,
        file_id=file.file_id,
        source=file.path,
        target=file.path,
        category=file.path.rpartition("/")[0].rpartition("/")[2],
        name=file.name,
        size_bytes=file.size_bytes or 0,
        etag=file.etag,
        tag_ids=(tag.id,),
        created_at=now,
        updated_at=now,
    )
