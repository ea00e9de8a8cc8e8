"""The secret ``scaler_constants``: which images of a WebDAV server are scaled, and where to."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.constants import Names

SCALER_CONSTANTS = "scaler_constants"


def _folder(text: str) -> str:
    parts = [part for part in text.strip().split("/") if part not in ("", ".")]
    if ".." in parts or "\\" in text or not text.isprintable():
        raise ValueError("expected the path of a folder such as data/AI/_raw, without .. in it")
    return "/".join(parts)


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not all(names):
        raise ValueError(
            'name at least one beginning of names, such as ["Unknown"]; an empty one would take every image'
        )
    return names


RemoteFolder = Annotated[str, AfterValidator(_folder)]
NamePrefixes = Annotated[Names, AfterValidator(_some)]


class ScalerConstants(BaseModel):
    """The user's constants, by the names that they have in Vault."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    prefixes: Annotated[NamePrefixes, Field(alias="RAW_NAMES_PREFIXES")]
    raw: Annotated[RemoteFolder, Field(alias="RAW_REMOTE_DIR")]
    unsorted: Annotated[RemoteFolder, Field(alias="UNSORTED_REMOTE_DIR")]

    @model_validator(mode="after")
    def _two_folders(self) -> Self:
        if self.raw == self.unsorted:
            raise ValueError("RAW_REMOTE_DIR and UNSORTED_REMOTE_DIR must be two folders")
        return self
