"""What can be set for discovery."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from discovery.domain.places import shown_to_all
from discovery.outward_settings import OutwardSettings
from shared.errors import InvalidInputError
from shared.settings import CommaList, Duration, Port, ServiceSettings
from shared.source_settings import SafeUrl
from shared.sources.flight_files import DEFAULT_RULE, FileRule
from shared.sources.layout import DEFAULT_GLOBS, Layout

ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
URI_BEGIN = re.compile(r"[a-z][a-z0-9+.-]*://.")


class Settings(OutwardSettings, ServiceSettings):
    """Read from ``DISCOVERY_*``."""

    model_config = SettingsConfigDict(env_prefix="DISCOVERY_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8001
    roots: Annotated[
        CommaList,
        Field(
            description="URIs that are scanned for flights, with commas between them; none: flights are"
            " found only when they are asked for."
        ),
    ] = ()
    layout: Annotated[
        CommaList,
        Field(
            min_length=1,
            description="Where a flight's images lie below a root, with commas between several; * stands for"
            " the flight's name.",
        ),
    ] = DEFAULT_GLOBS
    min_images: Annotated[
        int, Field(ge=1, description="Folders with fewer images are no flights, unless they are asked for.")
    ] = 1
    ready_marker: Annotated[
        str,
        Field(
            pattern="^[^/]*$",
            description="Name of a file, beside the images or in the folder above, that says that a flight is"
            " complete: it is announced as soon as that is there, and not before. None: once it has settled.",
        ),
    ] = ""
    scan_every: Annotated[Duration, Field(description="Time between two scans of a root.")] = timedelta(
        minutes=1
    )
    settle: Annotated[
        Duration, Field(description="How long a flight must stay the same before it is announced.")
    ] = timedelta(seconds=30)

    public_url: Annotated[
        SafeUrl | None,
        Field(
            description="Where browsers reach discovery; `/api/oauth2/tapis/callback/` below it is the"
            " callback URL of the OAuth2 client. None: `FLIGHTLINE_DISCOVERY_URL`."
        ),
    ] = None
    allowed_origins: Annotated[
        CommaList,
        Field(
            description="Origins such as `https://odm.example.org`, with commas between them, that browsers"
            " may be sent back to after a login, and whose pages may act for a user who is logged in."
        ),
    ] = ()
    tapis_scan_every: Annotated[
        Duration,
        Field(
            description="Time between two searches with the Tapis service account; 0: this process looks for"
            " nothing by itself, not after logins either."
        ),
    ] = timedelta(hours=1)

    def flight_layout(self, files: FileRule = DEFAULT_RULE) -> Layout:
        """Return where flights lie and what makes one complete."""
        return Layout(self.layout, self.min_images, self.ready_marker, files)

    @field_validator("layout")
    @classmethod
    def _layout_can_match(cls, layout: tuple[str, ...]) -> tuple[str, ...]:
        try:
            Layout(layout)
        except InvalidInputError as error:
            raise ValueError(str(error)) from error
        return layout

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"expected origins such as https://odm.example.org, not {origin}")
        return tuple(origin.lower() for origin in origins)

    @field_validator("roots")
    @classmethod
    def _roots_are_uris(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            if not URI_BEGIN.match(root):
                raise ValueError(f"expected URIs such as s3://bucket/flights or file:///data, not {root}")
            try:
                shown_to_all(root)
            except InvalidInputError as error:
                raise ValueError(str(error)) from error
        return roots
