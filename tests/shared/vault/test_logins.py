"""Logins by token, AppRole and Kubernetes; renewed in time, and made anew once they are refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from flightline.vault_simulator import SimulatedVault
from shared.errors import InvalidInputError
from shared.vault import Vault, VaultDeniedError, VaultDownError, VaultRefusedError
from shared.vault.identity import LOGIN_AGAIN_AFTER_S
from tests.support.vault import our_client

APPROLE = {"vault_role_id": "role-of-tests", "vault_secret_id": "secret-id-of-tests"}
APPROLE_LOGIN = ("POST", "auth/approle/login")
RENEW = ("POST", "auth/token/renew-self")


@pytest.fixture
def with_secret(vault: SimulatedVault) -> SimulatedVault:
    vault.put("kv/webdav", {"username": "mia"})
    return vault


def add_approle(vault: SimulatedVault, **facts: Any) -> None:
    vault.add_approle("tests", "secret-id-of-tests", role_id="role-of-tests", **facts)


def pod(tmp_path: Path, token: str = "eyJ.projected.token") -> dict[str, Any]:
    (tmp_path / "token").write_text(f"{token}\n")
    return {"vault_kubernetes_role": "flightline", "vault_kubernetes_token_file": tmp_path / "token"}


def wait_until_old(client: Vault) -> None:
    assert client.read("kv/webdav")
    time.sleep(LOGIN_AGAIN_AFTER_S + 0.1)


def test_an_approle_logs_in_once_for_many_secrets(with_secret: SimulatedVault) -> None:
    add_approle(with_secret)

    with our_client(with_secret, **APPROLE) as client:
        assert client.read("kv/webdav")
        assert client.read("kv/webdav")

    assert with_secret.calls.count(*APPROLE_LOGIN) == 1


def test_an_approle_may_need_no_secret_id(with_secret: SimulatedVault) -> None:
    with_secret.add_approle("tests", "", role_id="role-of-tests", needs_secret_id=False)

    with our_client(with_secret, vault_role_id="role-of-tests") as client:
        assert client.read("kv/webdav")


def test_a_login_may_be_mounted_elsewhere(with_secret: SimulatedVault, tmp_path: Path) -> None:
    with_secret.add_approle("tests", "s", role_id="r", mount="robots/here")
    with_secret.add_kubernetes_role("flightline", "eyJ.projected.token", mount="clusters/a")

    with (
        our_client(
            with_secret, vault_role_id="r", vault_secret_id="s", vault_auth_mount="robots/here"
        ) as robot,
        our_client(with_secret, **pod(tmp_path), vault_auth_mount="clusters/a") as in_a_pod,
    ):
        assert robot.read("kv/webdav")
        assert in_a_pod.read("kv/webdav")


def test_a_wrong_secret_id_is_told_without_it(with_secret: SimulatedVault) -> None:
    add_approle(with_secret)

    with (
        our_client(with_secret, **{**APPROLE, "vault_secret_id": "guessed"}) as client,
        pytest.raises(VaultRefusedError, match=r"log in by approle: status 400 \(invalid role or secret ID"),
    ):
        client.read("kv/webdav")


def test_a_pod_logs_in_by_its_role(with_secret: SimulatedVault, tmp_path: Path) -> None:
    """The original used its client before there was one, so that it could never log in like this."""
    with_secret.add_kubernetes_role("flightline", "eyJ.projected.token")

    with our_client(with_secret, **pod(tmp_path)) as client:
        assert client.read("kv/webdav")


def test_a_projected_token_is_read_anew_at_each_login(with_secret: SimulatedVault, tmp_path: Path) -> None:
    role = with_secret.add_kubernetes_role("flightline", "eyJ.projected.token")

    with our_client(with_secret, **pod(tmp_path)) as client:
        wait_until_old(client)
        role.tokens = {"eyJ.rotated.token"}
        pod(tmp_path, "eyJ.rotated.token")
        with_secret.tokens.end_all()
        assert client.read("kv/webdav")

    assert with_secret.calls.count("POST", "auth/kubernetes/login") == 2


def test_a_pod_that_vault_knows_not_is_told_so(with_secret: SimulatedVault, tmp_path: Path) -> None:
    with_secret.add_kubernetes_role("flightline", "eyJ.another.token")

    with (
        our_client(with_secret, **pod(tmp_path)) as client,
        pytest.raises(VaultDeniedError, match="does not let us log in by kubernetes"),
    ):
        client.read("kv/webdav")


def test_a_missing_projected_token_is_named(with_secret: SimulatedVault, tmp_path: Path) -> None:
    settings = {**pod(tmp_path), "vault_kubernetes_token_file": tmp_path / "nothing"}

    with (
        our_client(with_secret, **settings) as client,
        pytest.raises(InvalidInputError, match=r"FLIGHTLINE_VAULT_KUBERNETES_TOKEN_FILE .*nothing"),
    ):
        client.read("kv/webdav")


def test_a_token_that_ended_is_replaced_once(with_secret: SimulatedVault) -> None:
    add_approle(with_secret)

    with our_client(with_secret, **APPROLE) as client:
        wait_until_old(client)
        with_secret.tokens.end_all()
        assert client.read("kv/webdav")
        with_secret.condition.denied = ("kv/data/webdav",)
        with pytest.raises(VaultDeniedError):
            client.read("kv/webdav")

    assert with_secret.calls.count(*APPROLE_LOGIN) == 2


def test_logins_that_help_not_leave_no_tokens_behind(with_secret: SimulatedVault) -> None:
    add_approle(with_secret)

    with our_client(with_secret, **APPROLE) as client:
        wait_until_old(client)
        with_secret.condition.denied = ("kv/data/webdav",)
        with pytest.raises(VaultDeniedError):
            client.read("kv/webdav")

    assert with_secret.calls.count(*APPROLE_LOGIN) == 2
    assert with_secret.tokens.alive == 2  # root's, and the one that counts


def test_a_lease_is_renewed_at_two_thirds(with_secret: SimulatedVault) -> None:
    add_approle(with_secret, lease_s=3)

    with our_client(with_secret, **APPROLE) as client:
        client.read("kv/webdav")
        due_s = client.keep()
        renewals_before = with_secret.calls.count(*RENEW)
        time.sleep(due_s + 0.1)
        client.keep()

    assert 1 <= due_s <= 2
    assert (renewals_before, with_secret.calls.count(*RENEW)) == (0, 1)
    assert with_secret.calls.count(*APPROLE_LOGIN) == 1


def test_a_lease_that_cannot_be_renewed_for_long_is_replaced(with_secret: SimulatedVault) -> None:
    add_approle(with_secret, lease_s=3, longest_s=3)

    with our_client(with_secret, **APPROLE) as client:
        client.read("kv/webdav")
        time.sleep(client.keep() + 0.1)
        client.keep()

    assert with_secret.calls.count(*APPROLE_LOGIN) == 2


def test_a_secret_is_read_with_a_token_whose_renewal_fails(with_secret: SimulatedVault) -> None:
    """A secret id may be good for one login only: then the token is used as long as it lives."""
    role_facts = {"lease_s": 4, "is_renewable": False, "secret_ids": {"secret-id-of-tests": 1}}
    add_approle(with_secret, **role_facts)

    with our_client(with_secret, **APPROLE) as client:
        client.read("kv/webdav")
        time.sleep(client.keep() + 0.1)
        with pytest.raises(VaultRefusedError, match="log in by approle"):
            client.keep()
        assert client.read("kv/webdav")


def test_a_given_token_is_renewed_if_it_can_be(with_secret: SimulatedVault) -> None:
    token = with_secret.add_token(ttl_s=3, is_renewable=True)

    with our_client(with_secret, vault_token=token.id) as client:
        client.read("kv/webdav")
        time.sleep(client.keep() + 0.1)
        client.keep()

    assert with_secret.calls.count(*RENEW) == 1
    assert token.left_s >= 2


def test_a_given_token_that_ended_is_told(with_secret: SimulatedVault) -> None:
    token = with_secret.add_token()

    with our_client(with_secret, vault_token=token.id) as client:
        client.read("kv/webdav")
        with_secret.tokens.end_all()
        with pytest.raises(VaultDeniedError, match="permission denied") as denied:
            client.read("kv/webdav")

    assert token.id not in str(denied.value)


def test_a_token_that_may_not_look_at_itself_is_used_all_the_same(with_secret: SimulatedVault) -> None:
    with_secret.condition.denied = ("auth/token/lookup-self",)

    with our_client(with_secret) as client:
        assert client.read("kv/webdav")


def test_an_agents_token_file_is_read_anew_when_its_token_is_refused(
    with_secret: SimulatedVault, tmp_path: Path
) -> None:
    sink = tmp_path / "sink"
    sink.write_text(with_secret.add_token().id)

    with our_client(with_secret, vault_token_file=sink) as client:
        client.read("kv/webdav")
        with_secret.tokens.end_all()
        sink.write_text(with_secret.add_token().id + "\n")
        assert client.read("kv/webdav")


def test_a_sealed_vault_is_no_reason_to_forget_the_login(with_secret: SimulatedVault) -> None:
    add_approle(with_secret)

    with our_client(with_secret, **APPROLE) as client:
        client.read("kv/webdav")
        with_secret.condition.is_sealed = True
        with pytest.raises(VaultDownError):
            client.read("kv/webdav")
        with_secret.condition.is_sealed = False
        assert client.read("kv/webdav")

    assert with_secret.calls.count(*APPROLE_LOGIN) == 1
