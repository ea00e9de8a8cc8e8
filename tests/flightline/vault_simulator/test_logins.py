"""Tokens, logins and conditions, as hvac meets them."""

from __future__ import annotations

from typing import Any

import pytest
from hvac.exceptions import Forbidden, InternalServerError, InvalidRequest, VaultDown

from flightline.vault_simulator import SimulatedVault
from tests.support.vault import real_client


def test_a_token_knows_itself(client: Any) -> None:
    told = client.auth.token.lookup_self()["data"]

    assert client.is_authenticated()
    assert (told["policies"], told["ttl"], told["renewable"]) == (["root"], 0, False)


def test_no_token_and_a_wrong_one_are_denied(vault: SimulatedVault) -> None:
    for token in ("", "guessed"):
        with real_client(vault, token) as stranger:
            assert not stranger.is_authenticated()
            with pytest.raises(Forbidden, match="permission denied"):
                stranger.secrets.kv.v1.read_secret("a", mount_point="team/old")


def test_an_approle_gives_a_token_that_reads_and_no_more(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", {"a": 1})
    vault.add_approle("flightline", "its-secret", role_id="its-id", lease_s=60)

    with real_client(vault, "") as client:
        auth = client.auth.approle.login("its-id", "its-secret")["auth"]
        found = client.secrets.kv.v2.read_secret_version(
            "webdav", mount_point="kv", raise_on_deleted_version=True
        )
        with pytest.raises(Forbidden):
            client.sys.list_mounted_secrets_engines()

    assert (auth["lease_duration"], auth["renewable"]) == (60, True)
    assert found["data"]["data"] == {"a": 1}


def test_a_secret_id_may_be_good_once(vault: SimulatedVault) -> None:
    vault.add_approle("flightline", "once", role_id="its-id", secret_ids={"once": 1})

    with real_client(vault, "") as client:
        client.auth.approle.login("its-id", "once")
        with pytest.raises(InvalidRequest, match="invalid role or secret ID"):
            client.auth.approle.login("its-id", "once")


def test_a_pod_gives_its_projected_token(vault: SimulatedVault) -> None:
    vault.add_kubernetes_role("flightline", "eyJ.projected")

    with real_client(vault, "") as client:
        client.auth.kubernetes.login("flightline", "eyJ.projected")
        assert client.is_authenticated()
        with pytest.raises(Forbidden):
            client.auth.kubernetes.login("flightline", "eyJ.other")
        with pytest.raises(InvalidRequest, match="invalid role name"):
            client.auth.kubernetes.login("nobody", "eyJ.projected")
        with pytest.raises(Forbidden):
            client.auth.kubernetes.login("flightline", "eyJ.projected", mount_point="elsewhere")


def test_renewal_ends_at_the_longest_ttl(vault: SimulatedVault) -> None:
    token = vault.add_token(ttl_s=100, longest_s=10, is_renewable=True)

    with real_client(vault, token.id) as client:
        renewed = client.auth.token.renew_self()["auth"]

    assert renewed["lease_duration"] <= 10


def test_what_is_not_renewable_is_not_renewed(client: Any) -> None:
    with pytest.raises(InvalidRequest, match="lease is not renewable"):
        client.auth.token.renew_self()


def test_a_revoked_token_counts_no_longer(vault: SimulatedVault) -> None:
    with real_client(vault, vault.add_token().id) as client:
        client.auth.token.revoke_self()
        assert not client.is_authenticated()


@pytest.mark.parametrize(
    ("condition", "status", "error"),
    [
        ({}, 200, None),
        ({"is_standby": True}, 429, InternalServerError),
        ({"is_sealed": True}, 503, VaultDown),
    ],
)
def test_health_tells_the_condition(
    vault: SimulatedVault, client: Any, condition: dict[str, bool], status: int, error: type[Exception] | None
) -> None:
    for name, value in condition.items():
        setattr(vault.condition, name, value)

    health = client.sys.read_health_status(method="GET")

    assert (200 if isinstance(health, dict) else health.status_code) == status
    assert client.sys.is_sealed() is bool(condition.get("is_sealed"))
    if error:
        with pytest.raises(error):
            client.auth.token.lookup_self()
