"""What can be set for the gateway."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from typing_extensions import override

from odm_gateway.domain.callers import Keyring
from shared.settings import Duration, Port, ServiceSettings


def _split(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


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
    tokens: Annotated[
        SecretStr | None,
        Field(
            description="Tokens that requests may carry as `?token=`, as `NAME=TOKEN,…`, or one `TOKEN`. With"
            " several, each sees its own tasks. Without, `ODM_GATEWAY_TOKEN` counts."
        ),
    ] = None
    admins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_split),
        Field(description="Names of tokens, with commas between them, that see the tasks of all."),
    ] = ()
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

    @property
    def keyring(self) -> Keyring:
        """Return whose requests are answered."""
        given = self.tokens or self.token
        return Keyring.parse(given.get_secret_value() if given else "", self.admins)

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        try:
            self.keyring  # noqa: B018 - its errors are what is wanted
        except ValueError as error:
            raise ValueError(f"ODM_GATEWAY_TOKENS: {error}") from None
        return self

    @property
    @override
    def is_guarded(self) -> bool:
        return bool(self.tokens or self.token)

    @field_validator("engine", mode="before")
    @classmethod
    def _argo_comes_later(cls, value: object) -> object:
        if value == "argo":
            raise ValueError("expected local or simulate; argo is not available in this release")
        return value
