"""Settings: what is common to all services, how a service adds its own, and how faults are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from shared.durations import Duration, Durations
from shared.errors import InvalidInputError
from shared.logging import LogFormat, LogLevel
from shared.messaging.port import DEFAULT_LADDER
from shared.secrets import resolve
from shared.setting_faults import load
from shared.source_settings import SourceSettings, is_loopback
from shared.vault_settings import ConstantsSettings

__all__ = ["CommaList", "Duration", "Durations", "PlatformSettings", "Port", "ServiceSettings", "load"]

PREFIX = "FLIGHTLINE_"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Texts with commas between them."""

Port = Annotated[int, Field(ge=0, le=65535)]


def _resolved(value: object) -> object:
    try:
        return resolve(value) if isinstance(value, str) else value
    except InvalidInputError as error:
        raise ValueError(str(error)) from error


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme not in schemes or not rest:
            begins = " or ".join(f"{name}://" for name in schemes)
            raise ValueError(f"expected a URL that begins with {begins}")
        return value

    return AfterValidator(check)


def _http(value: str) -> None:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.username:
        raise ValueError("expected a URL such as https://user:password@host:15671/")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _user_data_folder(platform: str, environment: Mapping[str, str]) -> Path:
    match platform:
        case "win32":
            root = environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        case "darwin":
            root = Path.home() / "Library" / "Application Support"
        case _:
            root = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(root) / "flightline"


def _default_home() -> Path:
    return _user_data_folder(sys.platform, os.environ)


def _otlp_endpoint() -> str | None:
    return os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None


class _Settings(BaseSettings):
    """Frozen values in which every secret may be a reference."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _resolve_secret(cls, value: object, info: ValidationInfo) -> object:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return _resolved(value) if "SecretStr" in str(annotation) else value


class BackendSettings(_Settings):
    """What all services work on. Every backend is chosen by URL; the defaults need nothing but Python."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    home: Path = Field(
        default_factory=_default_home,
        description="Folder of the embedded backends; without it, the user's data folder of the platform.",
    )
    bus: Annotated[str, BeforeValidator(_resolved), _url("amqp", "amqps", "sqlite")] = Field(
        default_factory=lambda data: f"sqlite://{_slashed(data['home'])}/bus.db",
        description="Message broker: `amqp://user:password@host/vhost`, or `sqlite:///file` for one host."
        " May be a reference.",
    )
    bus_management: SecretStr | None = Field(
        default=None,
        description="RabbitMQ's management API, `https://user:password@host:15671/`, where there is one. Only"
        " `flightline status` and `flightline doctor` ask it; the user needs the tag `monitoring`.",
    )
    state: Annotated[str, BeforeValidator(_resolved), _url("mongodb", "mongodb+srv", "sqlite")] = Field(
        default_factory=lambda data: f"sqlite://{_slashed(data['home'])}/state.db",
        description="Document store: `mongodb://user:password@host/database`, or `sqlite:///file`."
        " May be a reference.",
    )
    objects: Annotated[str, _url("s3", "file")] = Field(
        default_factory=lambda data: f"file://{_slashed(data['home'])}/objects",
        description="Object store: `s3://bucket/prefix`, or `file:///folder`.",
    )
    folders: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Folders, with commas between them, that `file://` flights may be read from. None named:"
        " all on the embedded bus, none on a broker.",
    )
    s3_endpoint: Annotated[str, _url("http", "https")] | None = Field(
        default=None, description="S3 server; none: Amazon's."
    )
    s3_region: str | None = Field(default=None, description="S3 region.")
    s3_access_key: str | None = Field(
        default=None, description="S3 access key id; none: what the AWS SDK finds by itself, such as a role."
    )
    s3_secret_key: SecretStr | None = Field(default=None, description="S3 secret key.")
    retry_ladder: Durations = Field(
        default=DEFAULT_LADDER,
        min_length=1,
        description="How long a message waits before each new attempt; after the last it is a dead letter.",
    )
    log_format: LogFormat = Field(
        default="auto", description="`json` lines, `console`, or `auto`: console on a terminal, else json."
    )
    log_level: LogLevel = Field(default="info", description="The least that is logged.")
    otlp_endpoint: Annotated[str, _url("http", "https")] | None = Field(
        default_factory=_otlp_endpoint,
        description="Collector that traces are sent to, by OTLP over HTTP, such as `http://otel-collector:4318`."
        " Without it, `OTEL_EXPORTER_OTLP_ENDPOINT` counts; without both, none are sent.",
    )
    trace_ratio: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the traces beginning here that is sent; those of others say it themselves.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address that services listen on; wider than loopback, they demand a token.",
    )
    token: SecretStr | None = Field(
        default=None,
        description="Bearer token that requests must carry, at ingest, scaler and mover all, else those that"
        " write; for services without their own.",
    )

    @property
    def readable_folders(self) -> tuple[Path, ...]:
        """Return the folders that ``file://`` flights may be read from.

        On the embedded bus only this user of this host can ask for one, so that all are open unless some
        are named; on a broker that others reach, none is.
        """
        return self.folders or ((Path("/"),) if self.bus.startswith("sqlite:") else ())

    @field_validator("bus_management")
    @classmethod
    def _management_is_a_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _http(url.get_secret_value())
        return url

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("home", mode="after")
    @classmethod
    def _home_is_absolute(cls, home: Path) -> Path:
        return _absolute(home)

    @field_validator("folders", mode="after")
    @classmethod
    def _folders_are_absolute(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(map(_absolute, folders))

    @model_validator(mode="after")
    def _whole_s3_key(self) -> Self:
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError(
                "FLIGHTLINE_S3_ACCESS_KEY and FLIGHTLINE_S3_SECRET_KEY belong together: set both"
            )
        return self


class PlatformSettings(SourceSettings, ConstantsSettings, BackendSettings):
    """What all services share: what they work on, where flights come from, and Vault."""


class _Fallback(EnvSettingsSource):
    """``FLIGHTLINE_HOST`` and ``FLIGHTLINE_TOKEN``, for a service that has no value of its own."""

    @override
    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__call__().items() if name in ("host", "token")}


class ServiceSettings(_Settings):
    """What every service can be told; a service adds its fields, an ``env_prefix`` and its default port."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Without it, `FLIGHTLINE_HOST` counts."
    )
    port: Port = Field(description="TCP port to listen on; 0: any that is free.")
    token: SecretStr | None = Field(
        default=None,
        description="Bearer token that requests must carry, at ingest, scaler and mover all, else those that"
        " write. Without it, `FLIGHTLINE_TOKEN` counts.",
    )
    shutdown_grace: Duration = Field(
        default=timedelta(seconds=25),
        description="How long work in hand may take to finish after SIGTERM; what is left is done elsewhere.",
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Fallback(settings_cls, env_prefix=PREFIX)

    @property
    def is_guarded(self) -> bool:
        """Return whether requests that write need a token."""
        return self.token is not None

    @model_validator(mode="after")
    def _wide_needs_token(self) -> Self:
        if not self.is_guarded and not is_loopback(self.host):
            prefix = self.model_config.get("env_prefix") or PREFIX
            raise ValueError(
                f"listening on {self.host} lets other machines in: set {prefix}TOKEN (or {PREFIX}TOKEN),"
                f" or set {prefix}HOST to 127.0.0.1"
            )
        return self


def _slashed(path: Path) -> str:
    text = path.as_posix()
    return text if text.startswith("/") else f"/{text}"
