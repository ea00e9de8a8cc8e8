"""What can be set for the gateway."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import Duration, Port, ServiceSettings


class EngineKind(StrEnum):
    """Where jobs run."""

    LOCAL = "local"
    SIMULATE = "simulate"


class Settings(ServiceSettings):
    """Read from ``ODM_GATEWAY_*``."""

    model_config = SettingsConfigDict(env_prefix="ODM_GATEWAY_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port of the NodeODM API; 0 takes a free one.")] = 31100
    engine: Annotated[
        EngineKind,
        Field(
            description="`local`: worker processes of this machine; `simulate`: made-up results, for tests."
        ),
    ] = EngineKind.LOCAL
    work_dir: Annotated[
        Path | None,
        Field(description="Folder of the worker processes; without it, `work` below `FLIGHTLINE_HOME`."),
    ] = None
    tasks_at_once: Annotated[int, Field(gt=0, description="Tasks that one gateway works on together.")] = 1
    cores_per_task: Annotated[
        int | None,
        Field(gt=0, description="Most cores of a task, a cap of `max-concurrency`; none: whatever is there."),
    ] = None
    max_images: Annotated[
        int | None, Field(gt=0, description="Tasks with more images are refused; none: no limit.")
    ] = None
    lease: Annotated[
        Duration, Field(description="How long a silent gateway keeps a task before another takes it over.")
    ] = timedelta(seconds=30)

    @field_validator("engine", mode="before")
    @classmethod
    def _argo_comes_later(cls, value: object) -> object:
        if value == "argo":
            raise ValueError("expected local or simulate; argo is not available in this release")
        return value
