"""What lies unsorted, and what is to become of it: one request, however many files and tags there are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from mover.domain.deciding import Go, Rules, Stay, decide, joined
from mover.domain.folders import Folders
from mover.domain.reports import Left, Plan, Planned
from shared.dav import Dav, DavFolder, DavResource
from shared.errors import InvalidInputError, NotFoundError

log = structlog.get_logger()


class NoNextcloudError(InvalidInputError):
    """The server has no tags."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The files that lie unsorted."""

    rules: Rules
    """With the folder that is listed."""
    folder: DavFolder
    going: tuple[tuple[DavResource, Go], ...]
    staying: tuple[tuple[DavResource, Stay], ...]

    @property
    def ids(self) -> frozenset[int | None]:
        """Return the ids of all files that lie here."""
        return frozenset(file.file_id for file in self.folder.files)


async def list_unsorted(dav: Dav, rules: Rules) -> Listed:
    """Return what lies unsorted.

    Raises:
        NoNextcloudError: The server has no tags.
        NotFoundError: There is no such folder, neither from the user's own folder on nor within the root.
    """
    try:
        return _decided(rules, await dav.folder(rules.unsorted, tags=True))
    except NotFoundError as error:
        within = replace(rules, unsorted=joined(rules.root, rules.unsorted))
        try:
            folder = await dav.folder(within.unsorted, tags=True)
        except NotFoundError:
            raise NotFoundError(
                f"there is neither {rules.unsorted} nor {within.unsorted}: see UNSORTED_REMOTE_DIR"
            ) from error
    log.debug("unsorted.within_root", given=rules.unsorted, found=within.unsorted)
    return _decided(within, folder)


def _decided(rules: Rules, folder: DavFolder) -> Listed:
    if folder.itself.file_id is None:
        raise NoNextcloudError(
            "the WebDAV server is no Nextcloud: its files have no tags to sort them by; nothing is done"
        )
    going: list[tuple[DavResource, Go]] = []
    staying: list[tuple[DavResource, Stay]] = []
    for file in folder.files:
        match decide(file.tags, rules):
            case Go() as go:
                going.append((file, go))
            case Stay() as stay:
                staying.append((file, stay))
            case None:
                pass
    return Listed(rules, folder, tuple(going), tuple(staying))


async def list_categories(dav: Dav, root: str) -> Folders:
    """Return the folders of categories that are there."""
    try:
        listed = await dav.folder(root)
    except NotFoundError:
        return Folders()
    return Folders(folder.name for folder in listed.folders)


async def plan(dav: Dav, rules: Rules) -> Plan:
    """Return what a run would do, and do nothing.

    Collisions are found only by moving: a file of this name in the folder of the category is not looked for.
    """
    listed = await list_unsorted(dav, rules)
    folders = await list_categories(dav, rules.root) if listed.going else Folders()
    moves: list[Planned] = []
    for file, go in listed.going:
        category = folders.chosen(go.spellings)
        folders.add(category)
        moves.append(Planned(source=file.path, target=joined(rules.root, category, file.name)))
    left = [Left(source=file.path, why=stay.why, reason=stay.sentence) for file, stay in listed.staying]
    return Plan(files=len(listed.folder.files), moves=tuple(moves), left=tuple(left))
