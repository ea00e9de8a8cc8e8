"""Folders made where they are missing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from shared.dav.errors import AlreadyThereError, ParentMissingError
from shared.dav.paths import confined, parent_of
from shared.errors import NotFoundError

if TYPE_CHECKING:
    from shared.dav.verbs import Verbs

_ANSWERS = (201, 400, 404, 405, 409)
"""Where there is a file of that name, Apache says 400, and others 405 or 409."""


async def make_folders(verbs: Verbs, path: str) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        AlreadyThereError: There is a file of that name.
    """
    if not confined(path):
        return
    try:
        await _made(verbs, path)
    except ParentMissingError:
        await make_folders(verbs, parent_of(path))
        await _made(verbs, path)


async def _made(verbs: Verbs, path: str) -> None:
    """Make one folder, unless it is there."""
    answer = await verbs.at.answer("MKCOL", verbs.at.url(path, is_folder=True), *_ANSWERS)
    if answer.status == HTTPStatus.CREATED:
        return
    try:
        is_folder = (await verbs.look(path)).is_folder
    except NotFoundError as error:
        raise ParentMissingError(f"{path!r} cannot be made: MKCOL answers {answer.status}") from error
    if not is_folder:
        raise AlreadyThereError(f"{path!r} is there already, and no folder")
