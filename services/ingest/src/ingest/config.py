"""What can be set for ingest."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Duration, Port, ServiceSettings


class Settings(ServiceSettings):
    """Read from ``INGEST_*``."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8002
    transfers_at_once: Annotated[
        int, Field(gt=0, description="Flights that one process copies together.")
    ] = 2
    files_at_once: Annotated[
        int, Field(gt=0, description="Files of one flight that are copied together.")
    ] = 4
    lease: Annotated[
        Duration,
        Field(description="How long a silent process keeps a transfer before another takes it over."),
    ] = timedelta(seconds=30)
