"""Settings of Vault, and of the constants that an operator keeps there or in a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from shared.durations import Duration
from shared.source_settings import NearUrl

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

LoginMethod = Literal["token", "approle", "kubernetes"]


def is_below(text: str) -> bool:
    """Return whether a path leads downwards only: urllib3 would follow ``..`` to another one."""
    return all(part not in ("", ".", "..") for part in text.split("/"))


def _vault_path(text: str) -> str:
    text = text.strip("/")
    if not is_below(text):
        raise ValueError("expected a path such as kv/flightline")
    return text


def _constants(text: str) -> str:
    kind, _, target = text.partition(":")
    if kind == "vault" and is_below(target.strip("/")):
        return f"vault:{target.strip('/')}"
    if kind == "file" and target.strip("/"):
        return f"file:{target.removeprefix('//')}"
    raise ValueError("expected vault:MOUNT, vault:MOUNT/folder or file:/path/of.json")


VaultPath = Annotated[str, AfterValidator(_vault_path)]


class VaultSettings(BaseModel):
    """Where Vault is, and who we are there; never itself kept in Vault."""

    vault_url: NearUrl | None = Field(
        default=None,
        description="Vault or OpenBao, such as `https://vault.example.org:8200`; `http://` only on a network"
        " of your own. What reads it logs in by a token, an AppRole or a Kubernetes role, or not at all where"
        " an agent does that.",
    )
    vault_namespace: str | None = Field(default=None, description="Namespace of Vault Enterprise.")
    vault_kv_version: Literal["auto", "1", "2"] = Field(
        default="auto",
        description="Version of the key-value engine; `auto` asks Vault, and takes 2 where it does not say.",
    )
    vault_token: SecretStr | None = Field(
        default=None, description="Token that Vault is read with; renewed if Vault allows that."
    )
    vault_token_file: Path | None = Field(
        default=None,
        description="File with the token, such as an agent's sink; read anew when it is refused.",
    )
    vault_role_id: str | None = Field(default=None, description="Role id of an AppRole to log in as.")
    vault_secret_id: SecretStr | None = Field(
        default=None,
        description="Secret id of the AppRole, if it has any. May be a reference, such as `file:`.",
    )
    vault_kubernetes_role: str | None = Field(
        default=None, description="Role of Vault's Kubernetes login, for pods."
    )
    vault_kubernetes_token_file: Path = Field(
        default=SERVICE_ACCOUNT_TOKEN,
        description="Projected token of the pod's service account; read anew at each login.",
    )
    vault_auth_mount: VaultPath | None = Field(
        default=None, description="Where the login is mounted; without it `approle` or `kubernetes`."
    )
    vault_ca_file: Path | None = Field(
        default=None, description="Certificates of who may have signed Vault's; none: those of the system."
    )
    vault_timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        description="How long one answer of Vault may take.",
    )

    @property
    def vault_login(self) -> LoginMethod | None:
        """Return how we log in; None: not at all."""
        if self.vault_role_id:
            return "approle"
        if self.vault_kubernetes_role:
            return "kubernetes"
        return "token" if self.vault_token or self.vault_token_file else None

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        fields = ("vault_token", "vault_token_file", "vault_role_id", "vault_kubernetes_role")
        names = [f"FLIGHTLINE_{name.upper()}" for name in fields if getattr(self, name)]
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} are different logins of Vault: set one of them")
        if self.vault_secret_id and not self.vault_role_id:
            raise ValueError("FLIGHTLINE_VAULT_SECRET_ID belongs to FLIGHTLINE_VAULT_ROLE_ID: set both")
        return self


class ConstantsSettings(VaultSettings):
    """Where the constants of scaler and mover are; each can be set by itself, too."""

    constants: Annotated[str, AfterValidator(_constants)] | None = Field(
        default=None,
        description="Where the secrets `webdav`, `scaler_constants` and `mover_constants` are: `vault:MOUNT`,"
        " `vault:MOUNT/folder`, or `file:/path` of a JSON document with these three. What another setting"
        " says wins.",
    )
    constants_refresh: Duration = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="How often constants are read anew; a change counts without a restart.",
    )
    webdav_url: NearUrl | None = Field(
        default=None,
        description="Folder on a WebDAV server that scaler's and mover's folders lie in, such as"
        " `https://cloud.example.org/remote.php/dav/files/me`; wins over `url` of `webdav`.",
    )
    webdav_host_url: NearUrl | None = Field(
        default=None,
        description="Root of a Nextcloud, such as `https://cloud.example.org`; wins over `host_url` of"
        " `webdav`.",
    )
    webdav_username: str | None = Field(
        default=None, description="Who reads and writes there; wins over `username` of `webdav`."
    )
    webdav_password: SecretStr | None = Field(
        default=None, description="Password or app password; wins over `password` of `webdav`."
    )

    @model_validator(mode="after")
    def _vault_is_known(self) -> Self:
        if (self.constants or "").startswith("vault:") and self.vault_url is None:
            raise ValueError("FLIGHTLINE_CONSTANTS is in Vault: set FLIGHTLINE_VAULT_URL too")
        return self
