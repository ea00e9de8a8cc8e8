"""What can be set for the gateway."""

from __future__ import annotations

import math
import shlex
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from typing_extensions import override

from odm_gateway.argo_config import ArgoSettings
from odm_gateway.domain.archives import ARCHIVE_AT_MOST_BYTES
from odm_gateway.domain.callers import Keyring
from odm_gateway.domain.webhooks import webhook_url
from shared.errors import InvalidInputError
from shared.settings import CommaList, Duration, Port, ServiceSettings


def _shares(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.partition("=") for item in value.split(",") if item.strip()]
    try:
        weights = [(name.strip(), float(weight)) for name, _, weight in pairs]
    except ValueError:
        raise ValueError("expected NAME=WEIGHT,…") from None
    if not all(name and 0 < weight < math.inf for name, weight in weights):
        raise ValueError("expected NAME=WEIGHT,… with weights above 0")
    return weights


def _folders(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.strip().partition("=") for item in value.split(",") if item.strip()]
    if not all(name and folder for name, _, folder in pairs):
        raise ValueError("expected NAME=FOLDER,…")
    return [(name, folder.strip("/")) for name, _, folder in pairs]


class EngineKind(StrEnum):
    """Where jobs run."""

    LOCAL = "local"
    ARGO = "argo"
    SIMULATE = "simulate"


class Downloads(StrEnum):
    """How clients get products."""

    PROXY = "proxy"
    REDIRECT = "redirect"


class Settings(ServiceSettings, ArgoSettings):
    """Read from ``ODM_GATEWAY_*``."""

    model_config = SettingsConfigDict(env_prefix="ODM_GATEWAY_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port of the NodeODM API; 0 takes a free one.")] = 31100
    engine: Annotated[
        EngineKind,
        Field(
            description="`local`: worker processes of this machine; `argo`: workflows of Kubernetes clusters;"
            " `simulate`: made-up results, for tests."
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
        CommaList,
        Field(description="Names of tokens, with commas between them, that see the tasks of all."),
    ] = ()
    login: Annotated[
        bool, Field(description="Whether people may log in with name and password; then tokens are wanted.")
    ] = False
    registration: Annotated[
        bool, Field(description="Whether anybody may register as a user, where one can log in.")
    ] = False
    login_lifetime: Annotated[
        Duration, Field(gt=timedelta(), description="How long a token counts that a login gave.")
    ] = timedelta(days=30)
    tapis_tokens: Annotated[
        bool,
        Field(
            description="Whether access tokens of `FLIGHTLINE_TAPIS_TENANT` count as tokens; each"
            " user sees their own tasks. Tokens are wanted then."
        ),
    ] = False
    public_url: Annotated[
        AnyHttpUrl | None,
        Field(description="Where clients reach this API; none: wherever the request was sent to."),
    ] = None
    downloads: Annotated[
        Downloads,
        Field(
            description="`proxy`: products are read through this API; `redirect`: clients are sent to the S3"
            " server, which they must be able to reach, with a URL that counts for an hour."
        ),
    ] = Downloads.PROXY
    webhook: Annotated[
        SecretStr | None, Field(description="URL that is told of every task's end, beside the task's own.")
    ] = None
    webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Signs what webhooks are sent, as `X-Flightline-Signature: sha256=…` (HMAC)."),
    ] = None
    allow_private_urls: Annotated[
        bool,
        Field(description="Whether URLs that clients name may lie on loopback and private addresses."),
    ] = False
    cleanup: Annotated[
        Duration,
        Field(description="How long after its end a task is kept with all that belongs to it; 0: for ever."),
    ] = timedelta(minutes=2880)
    max_runtime: Annotated[
        Duration | None, Field(description="Tasks that run longer are canceled; none: no limit.")
    ] = None
    max_open_tasks: Annotated[
        int | None,
        Field(gt=0, description="Unfinished tasks beyond which none is taken over HTTP; none: no limit."),
    ] = None
    work_dir: Annotated[
        Path | None,
        Field(description="Folder of the worker processes; without it, `work` below `FLIGHTLINE_HOME`."),
    ] = None
    local_command: Annotated[
        str | None,
        Field(
            description="How a real ODM is called, for the `local` engine to use instead of its own, such as"
            " `docker run -i --rm -v {workspace}:/datasets opendronemap/odm --project-path /datasets` or"
            " `python3 /code/run.py`. No shell is involved."
        ),
    ] = None
    simulate_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="How long a task takes with the engine `simulate`.")
    ] = 0.5
    tasks_at_once: Annotated[
        int, Field(gt=0, description="Tasks that one gateway works on together; `argo` has a window instead.")
    ] = 1
    shares: Annotated[
        tuple[tuple[str, float], ...],
        NoDecode,
        BeforeValidator(_shares),
        Field(
            description="Weights of token names that wait for the same slots: `NAME=WEIGHT,…`; 1 for others."
        ),
    ] = ()
    folders: Annotated[
        tuple[tuple[str, str], ...],
        NoDecode,
        BeforeValidator(_folders),
        Field(
            description="Folders of the object store that tokens without sight of everything may name beside"
            " the one of their own name: `NAME=FOLDER,…`; `*` for all names."
        ),
    ] = (("*", "staging"),)
    cluster_url: Annotated[
        AnyHttpUrl | None,
        Field(
            description="Where engines reach this API. Then tasks with `split` hand their submodels back,"
            " as tasks of their own."
        ),
    ] = None
    cores_per_task: Annotated[
        int | None,
        Field(gt=0, description="Most cores of a task, a cap of `max-concurrency`; none: whatever is there."),
    ] = None
    max_images: Annotated[
        int | None, Field(gt=0, description="Tasks with more images are refused; none: no limit.")
    ] = None
    max_upload_bytes: Annotated[
        int | None,
        Field(gt=0, description="Most bytes that a task's uploaded files may have; none: no limit."),
    ] = None
    max_archive_bytes: Annotated[
        int,
        Field(gt=0, description="Most bytes of an archive that a client names, and of what it unpacks to."),
    ] = ARCHIVE_AT_MOST_BYTES
    cleanup_uploads: Annotated[
        Duration,
        Field(gt=timedelta(), description="How long an upload waits for more files, or for its commit."),
    ] = timedelta(minutes=2880)
    lease: Annotated[
        Duration, Field(description="How long a silent gateway keeps a task before another takes it over.")
    ] = timedelta(seconds=30)

    @property
    def at_once(self) -> int:
        """Return how many tasks one gateway works on together."""
        return self.argo_tasks_at_once if self.engine is EngineKind.ARGO else self.tasks_at_once

    @property
    def keyring(self) -> Keyring:
        """Return whose requests are answered."""
        given = self.tokens or self.token
        text = given.get_secret_value() if given else ""
        return Keyring.parse(text, self.admins, login=self.login or self.tapis_tokens)

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
        return bool(self.tokens or self.token or self.login or self.tapis_tokens)

    @field_validator("webhook", mode="after")
    @classmethod
    def _webhook_is_url(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            is_url = value is None or webhook_url(value.get_secret_value()) is not None
        except InvalidInputError:
            is_url = False
        if not is_url:
            raise ValueError("expected a URL that begins with http:// or https://")
        return value

    @field_validator("local_command", mode="after")
    @classmethod
    def _command_can_be_split(cls, value: str | None) -> str | None:
        try:
            is_command = value is None or bool(shlex.split(value))
        except ValueError as error:
            raise ValueError(f"{error}: quote it as for a shell") from None
        if not is_command:
            raise ValueError("expected a command")
        return value
