"""What can be set for discovery."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import CommaList, Duration, Port, ServiceSettings

URI_BEGIN = re.compile(r"[a-z][a-z0-9+.-]*://.")


class Settings(ServiceSettings):
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
        str, Field(description="Where a flight's images lie below a root; * stands for the flight's name.")
    ] = "*/code/images"
    scan_every: Annotated[Duration, Field(description="Time between two scans of a root.")] = timedelta(
        minutes=1
    )
    settle: Annotated[
        Duration, Field(description="How long a flight must stay the same before it is announced.")
    ] = timedelta(seconds=30)

    @field_validator("roots")
    @classmethod
    def _roots_are_uris(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            if not URI_BEGIN.match(root):
                raise ValueError(f"expected URIs such as s3://bucket/flights or file:///data, not {root}")
        return roots
