"""What is to be sorted, where and as whom: settings and the operator's constants together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mover.config import Settings
from mover.domain.deciding import Rules
from shared.constants import WEBDAV, Constants, parse_constant, webdav_constants
from shared.dav import DavPlace
from shared.dav.paths import why_not_confined
from shared.errors import InvalidInputError
from shared.vault_settings import ConstantsSettings

MOVER_CONSTANTS = "mover_constants"
DEFAULT_PARENT = "ai"


def _folder(path: str) -> str:
    folder = path.strip().strip("/")
    if why := why_not_confined(folder):
        raise ValueError(f"this {why}")
    return folder


def _named_folder(path: str) -> str:
    if not (folder := _folder(path)):
        raise ValueError("expected the name of a folder")
    return folder


def _parent(text: str) -> str:
    parent = text.strip().removesuffix(":").strip()
    if not parent:
        raise ValueError("expected what tags begin with, such as ai")
    return parent


class MoverConstants(BaseModel):
    """The secret ``mover_constants``."""

    model_config = ConfigDict(frozen=True)

    root: Annotated[str, AfterValidator(_folder), Field(alias="IMAGES_ROOT_DIR")]
    unsorted: Annotated[str, AfterValidator(_named_folder), Field(alias="UNSORTED_REMOTE_DIR")]
    parent: Annotated[str, AfterValidator(_parent), Field(alias="PARENT_TAG_VALUE")] = DEFAULT_PARENT


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where to sort, and by which rules."""

    place: DavPlace
    rules: Rules

    @property
    def name(self) -> str:
        """Return the place's name in the journal: the server and the user."""
        return f"{self.place.username}@{self.place.url.partition('://')[2]}"


async def read_wanted(settings: Settings, platform: ConstantsSettings, constants: Constants) -> Wanted | None:
    """Return what is wanted now; None: nothing is configured.

    Raises:
        InvalidInputError: Something is missing or cannot be used; the message names the key, and no value.
        TransientError: The constants cannot be read yet.
    """
    folders = parse_constant(
        MoverConstants,
        MOVER_CONSTANTS,
        await constants.read(MOVER_CONSTANTS),
        {
            "IMAGES_ROOT_DIR": settings.images_root_dir,
            "UNSORTED_REMOTE_DIR": settings.unsorted_remote_dir,
            "PARENT_TAG_VALUE": settings.parent_tag_value,
        },
        prefix="MOVER_",
    )
    if folders is None:
        return None
    webdav = webdav_constants(platform, await constants.read(WEBDAV))
    if webdav is None:
        raise InvalidInputError(
            f"{MOVER_CONSTANTS} say what to sort, but nothing says on which server:"
            " set FLIGHTLINE_WEBDAV_HOST_URL, or FLIGHTLINE_CONSTANTS"
        )
    rules = Rules(folders.parent, folders.root, folders.unsorted, nested=settings.nested_categories)
    return Wanted(webdav.place(), rules)
