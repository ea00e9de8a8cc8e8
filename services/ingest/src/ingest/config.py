"""What can be set for ingest."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Duration, Port, ServiceSettings

MIB = 1 << 20


class Settings(ServiceSettings):
    """Read from ``INGEST_*``."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8002
    transfers_at_once: Annotated[
        int, Field(gt=0, description="Flights that one process copies together.")
    ] = 2
    files_at_once: Annotated[
        int,
        Field(
            gt=0,
            le=256,
            description="Files that are read together from one storage system, at most; there are fewer after"
            " it was overloaded.",
        ),
    ] = 8
    bytes_in_flight: Annotated[
        int, Field(ge=32 * MIB, description="Content that one process holds in memory, at most.")
    ] = 96 * MIB
    resumable_from_bytes: Annotated[
        int,
        Field(
            ge=16 * MIB,
            description="Files of this size are copied in parts, so that an interrupted one goes on where it"
            " was, if their source can be read from the middle.",
        ),
    ] = 64 * MIB
    file_bytes_at_most: Annotated[int, Field(gt=0, description="Larger files are left out.")] = 4096 * MIB
    files_at_most: Annotated[
        int, Field(gt=0, description="Images of one flight; those behind, by name, are left out.")
    ] = 100_000
    unreadable_at_most: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of a flight's files that may stay unreadable after all attempts; they are left"
            " out, one always may. If there are more, the flight fails.",
        ),
    ] = 0.05
    login_checked_every: Annotated[
        Duration, Field(description="How often to see whether a user whose login ended has logged in again.")
    ] = timedelta(seconds=30)
    lease: Annotated[
        Duration,
        Field(description="How long a silent process keeps a transfer before another takes it over."),
    ] = timedelta(seconds=30)
