"""Settings whose values are kept in Vault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from flightline.vault_simulator import SimulatedVault
from shared.errors import InvalidInputError
from shared.secrets import resolve
from shared.settings import PlatformSettings, Port, ServiceSettings, load
from tests.support.vault import ROOT

KEYS = {"token": "token-of-kite", "port": 8443, "logins": {"cloud.example.org": "mia:app-password"}}


class KiteSettings(ServiceSettings):
    """Settings of a service that exists only here."""

    model_config = SettingsConfigDict(env_prefix="KITE_")

    port: Port = 9000


@pytest.fixture
def environment(vault: SimulatedVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    vault.put("kv/kite/http", KEYS)
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_VAULT_URL", vault.url)
    monkeypatch.setenv("FLIGHTLINE_VAULT_TOKEN", ROOT)
    return monkeypatch


def test_a_secret_setting_may_be_in_vault(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KITE_TOKEN", "vault:kv/kite/http#token")

    settings = load(KiteSettings)

    assert settings.token
    assert settings.token.get_secret_value() == "token-of-kite"


def test_settings_read_a_secret_once(vault: SimulatedVault, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KITE_TOKEN", "vault:kv/kite/http#token")
    environment.setenv("FLIGHTLINE_INTERNAL_TOKEN", "vault:kv/kite/http#token")

    load(KiteSettings)
    load(PlatformSettings)

    assert vault.calls.count("GET", "kv/data/kite/http") == 1


def test_logins_may_be_in_vault_one_by_one(vault: SimulatedVault, environment: pytest.MonkeyPatch) -> None:
    vault.put("kv/cloud", {"login": "mia:app-password"})
    environment.setenv("FLIGHTLINE_DAV_LOGINS", '{"cloud.example.org": "vault:kv/cloud#login"}')

    login = load(PlatformSettings).dav_logins["cloud.example.org"]

    assert login.get_secret_value() == "mia:app-password"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("key", "value"),
    [("token", "token-of-kite"), ("port", "8443"), ("logins", '{"cloud.example.org": "mia:app-password"}')],
)
def test_what_is_no_text_is_read_as_json(key: str, value: str) -> None:
    assert resolve(f"vault:kv/kite/http#{key}") == value


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("vault:kv/kite/http#tokens", r"key tokens of kv/kite/http .* \(has: logins, port, token\)"),
        ("vault:kv/kite/https#token", "kv/kite/https in Vault, which cannot be read .* has no such secret"),
        ("vault:kv/kite/http", "expected vault:mount/path#key"),
        ("vault:kv#token", "expected vault:mount/path#key"),
        ("vault:kv/../sys/mounts#token", "expected vault:mount/path#key"),
    ],
)
def test_a_reference_to_nothing_is_explained(reference: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        resolve(reference)


def test_a_setting_that_cannot_be_resolved_is_named(
    vault: SimulatedVault, environment: pytest.MonkeyPatch
) -> None:
    vault.condition.is_sealed = True
    environment.setenv("KITE_TOKEN", "vault:kv/kite/http#token")

    with pytest.raises(
        InvalidInputError, match=r"KITE_TOKEN=\(hidden\): refers to kv/kite/http .* is sealed"
    ):
        load(KiteSettings)


def test_without_vault_a_reference_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLIGHTLINE_VAULT_URL", raising=False)

    with pytest.raises(InvalidInputError, match="FLIGHTLINE_VAULT_URL is not set"):
        resolve("vault:kv/kite/http#token")


def test_what_logs_in_to_vault_is_not_kept_in_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLIGHTLINE_VAULT_TOKEN", "vault:kv/kite/http#token")

    with pytest.raises(InvalidInputError, match="what logs in to Vault cannot be kept in it"):
        load(PlatformSettings)


def test_what_logs_in_to_vault_may_be_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(ROOT)
    environment.setenv("FLIGHTLINE_VAULT_TOKEN", f"file:{tmp_path}/token")

    assert resolve("vault:kv/kite/http#token") == "token-of-kite"


def test_two_logins_at_once_are_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLIGHTLINE_VAULT_ROLE_ID", "kite")

    with pytest.raises(InvalidInputError, match="TOKEN and FLIGHTLINE_VAULT_ROLE_ID are different logins"):
        resolve("vault:kv/kite/http#token")


def test_hvac_is_imported_only_where_vault_is_used() -> None:
    check = (
        "import sys, flightline.flight_run, shared.constants; from shared.settings import *;"
        " load(PlatformSettings); print([name for name in ('hvac', 'aiohttp') if name in sys.modules])"
    )

    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"
