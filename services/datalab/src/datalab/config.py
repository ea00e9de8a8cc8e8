"""What can be set for datalab."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import SettingsConfigDict
from typing_extensions import override

from datalab.execution.config import ExecutionSettings
from shared.settings import CommaList, Port


class Settings(ExecutionSettings):
    """Read from ``DATALAB_*``."""

    model_config = SettingsConfigDict(env_prefix="DATALAB_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8006
    public_url: Annotated[
        HttpUrl | None,
        Field(
            description="How clients reach the service, where a proxy is in front of it; links in answers"
            " begin with it. Otherwise what the request says."
        ),
    ] = None
    cors_origins: Annotated[
        CommaList,
        Field(description="Origins of web pages that may use the API, such as `https://lab.example.org`."),
    ] = ()
    portal_url: Annotated[
        HttpUrl | None,
        Field(
            description="API of the observation portal, such as `https://observe.example.org/api/`: its"
            " users' tokens are taken, and open the archive, too. None: local users only."
        ),
    ] = None
    server_key: Annotated[
        SecretStr | None,
        Field(
            description="What the portal shows (`Authorization: Server …`) when it tells of its users. None:"
            " it cannot."
        ),
    ] = None
    max_body_bytes: Annotated[
        int, Field(gt=0, le=12 << 20, description="Largest JSON body of a request; larger ones get 413.")
    ] = 4 << 20
    max_sessions: Annotated[int, Field(gt=0, description="Sessions of a user.")] = 10_000
    max_operations: Annotated[int, Field(gt=0, description="Operations in a session.")] = 2_000
    max_unfinished: Annotated[
        int, Field(gt=0, description="Operations of a user that have not ended; another one gets 429.")
    ] = 200
    upload_quota_bytes: Annotated[int, Field(ge=0, description="What a user's uploads may come to.")] = (
        10 << 30
    )
    max_upload_bytes: Annotated[int, Field(gt=0, description="Largest file that can be uploaded.")] = 2 << 30

    @property
    @override
    def is_guarded(self) -> bool:
        """Return True: whoever asks needs a token of their own."""
        return True
