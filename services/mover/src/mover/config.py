"""What can be set for the mover."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Duration, Port, ServiceSettings

Duplicates = Literal["trash", "keep"]


class Settings(ServiceSettings):
    """Read from ``MOVER_*``."""

    model_config = SettingsConfigDict(env_prefix="MOVER_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8004
    images_root_dir: Annotated[
        str | None,
        Field(
            description="Folder on Nextcloud in which each category has its folder. Wins over"
            " `IMAGES_ROOT_DIR` of the constants."
        ),
    ] = None
    unsorted_remote_dir: Annotated[
        str | None,
        Field(
            description="Folder on Nextcloud whose files are sorted, from the user's own folder on, such as"
            " `data/AI/_unsorted`; if there is none, it is looked for within the images' root. Wins over"
            " `UNSORTED_REMOTE_DIR` of the constants."
        ),
    ] = None
    parent_tag_value: Annotated[
        str | None,
        Field(
            description="What tags begin with, before the colon, that name a category; `ai` unless said"
            " otherwise. Wins over `PARENT_TAG_VALUE` of the constants."
        ),
    ] = None
    nested_categories: Annotated[
        bool, Field(description="Let `ai:animals/cats` mean the folder `cats` within `animals`.")
    ] = False
    duplicates: Annotated[
        Duplicates,
        Field(
            description="What becomes of a file whose content is in its category's folder already, under its"
            " name: `trash` deletes it once the other was verified, which on Nextcloud is to the trash;"
            " `keep` leaves it where it is and reports it."
        ),
    ] = "trash"
    frequency: Annotated[
        Duration, Field(gt=timedelta(), description="How often to look for tagged files on Nextcloud.")
    ] = timedelta(seconds=30)
    debounce: Annotated[
        Duration,
        Field(description="How long to wait, after an image was scaled, for others, before looking."),
    ] = timedelta(seconds=2)
    repair_every: Annotated[
        Duration,
        Field(
            description="How often to look for files that lie in their category's folder and still have its"
            " tag; first at the start. 0: never, but for those that the journal knows."
        ),
    ] = timedelta(hours=1)
    moves_at_once: Annotated[
        int, Field(gt=0, le=32, description="Files that are moved at the same time, at most.")
    ] = 6
    journal_kept: Annotated[
        Duration, Field(gt=timedelta(), description="How long the journal tells of a move that is done.")
    ] = timedelta(days=90)
    lease: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=2),
            description="How long a silent process keeps others from sorting; whoever runs, runs alone.",
        ),
    ] = timedelta(seconds=30)
