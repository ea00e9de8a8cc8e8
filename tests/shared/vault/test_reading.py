"""Secrets as our client reads them: real hvac over TCP, from the simulated Vault."""

from __future__ import annotations

import math
import threading
import time

import pytest

from flightline.vault_simulator import Rule, SimulatedVault
from flightline.vault_simulator.kv import VersionedEngine
from shared.errors import InvalidInputError
from shared.vault import SecretDeletedError, VaultDeniedError, VaultDownError, VaultRefusedError
from tests.support.vault import our_client, real_client

USERS = {"host_url": "https://cloud.example.org", "username": "mia", "password": "correct-horse"}


def versioned(vault: SimulatedVault) -> VersionedEngine:
    engine = vault.mounts["kv"]
    assert isinstance(engine, VersionedEngine)
    return engine


def test_a_secret_of_version_2_is_read_with_its_version(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", {"username": "old"})
    vault.put("kv/webdav", USERS)

    with our_client(vault) as client:
        found = client.read("kv/webdav")

    assert found
    assert dict(found.values) == USERS
    assert found.version == "2"


def test_a_secret_of_version_1_is_read_below_a_mount_of_two_parts(vault: SimulatedVault) -> None:
    vault.put("team/old/here/webdav", USERS)

    with our_client(vault) as client:
        before = client.read("team/old/here/webdav")
        vault.put("team/old/here/webdav", {**USERS, "password": "another"})
        after = client.read("team/old/here/webdav")

    assert before
    assert after
    assert dict(before.values) == USERS
    assert before.version != after.version


def test_where_vault_does_not_tell_the_version_the_setting_does(vault: SimulatedVault) -> None:
    vault.mount("plain", version=1)
    vault.put("plain/webdav", USERS)
    vault.condition.denied = ("sys/internal",)

    with our_client(vault) as guessing, our_client(vault, vault_kv_version="1") as told:
        assert guessing.read("plain/webdav") is None
        found = told.read("plain/webdav")

    assert found
    assert dict(found.values) == USERS


def test_what_is_mounted_is_asked_once(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)

    with our_client(vault) as client:
        for _ in range(3):
            client.read("kv/webdav")

    assert vault.calls.count("GET", "sys/internal/ui/mounts/kv/webdav") == 1
    assert vault.calls.count("GET", "kv/data/webdav") == 3


def test_the_engine_is_never_configured(vault: SimulatedVault) -> None:
    """The original posted to /config at every start, which needs rights over the engine and changes it."""
    vault.put("kv/webdav", USERS)

    with our_client(vault) as client:
        client.read("kv/webdav")
        client.keep()

    written = [call for call in vault.calls.last if call.method != "GET"]
    assert not written
    assert versioned(vault).config["max_versions"] == 0


def test_a_secret_that_is_not_there_is_none(vault: SimulatedVault) -> None:
    """The original returned None and died of a TypeError later; ours says so to who asks."""
    with our_client(vault) as client:
        assert client.read("kv/webdav") is None


@pytest.mark.parametrize(("end", "told"), [("delete", "was deleted at 20"), ("destroy", "was destroyed")])
def test_a_deleted_secret_is_told_from_one_that_was_never_there(
    vault: SimulatedVault, end: str, told: str
) -> None:
    vault.put("kv/webdav", USERS)
    getattr(versioned(vault), end)("webdav", [1])

    with our_client(vault) as client, pytest.raises(SecretDeletedError, match=f"kv/webdav: version 1 {told}"):
        client.read("kv/webdav")


def test_an_undeleted_secret_is_read_again(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)
    versioned(vault).delete("webdav")

    with our_client(vault) as client, real_client(vault) as theirs:
        with pytest.raises(SecretDeletedError):
            client.read("kv/webdav")
        theirs.secrets.kv.v2.undelete_secret_versions("webdav", versions=[1], mount_point="kv")
        found = client.read("kv/webdav")

    assert found
    assert found.version == "1"


def test_what_a_policy_forbids_is_said_with_its_path(vault: SimulatedVault) -> None:
    vault.condition.denied = ("kv/data/webdav",)

    with our_client(vault) as client, pytest.raises(VaultDeniedError) as denied:
        client.read("kv/webdav")

    assert str(denied.value) == (
        f"Vault at {vault.url} does not let us read kv/webdav: status 403 (permission denied)"
    )


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"is_sealed": True}, "it is sealed"),
        ({"is_standby": True}, "local node not active"),
        ({"is_initialized": False}, "it is not initialised"),
    ],
)
def test_what_will_pass_is_told_as_such(vault: SimulatedVault, condition: dict[str, bool], told: str) -> None:
    vault.put("kv/webdav", USERS)
    for name, value in condition.items():
        setattr(vault.condition, name, value)

    with our_client(vault) as client, pytest.raises(VaultDownError, match=told):
        client.read("kv/webdav")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (Rule(kind="status", status=500), "status 500"),
        (Rule(kind="status", status=412, message="required index state not present"), "status 412"),
        (Rule(kind="status", status=429, message="rate limit exceeded"), "asked too often"),
        (Rule(kind="status", status=502), "proxy"),
        (Rule(kind="html"), "no Vault"),
        (Rule(kind="cut"), "no Vault"),
        (Rule(kind="delay", seconds=3), "did not answer in time"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_request_that_fails_can_be_made_again(vault: SimulatedVault, rule: Rule, told: str) -> None:
    vault.put("kv/webdav", USERS)
    vault.faults.add(rule.model_copy(update={"path": "kv/data/", "times": 1}))

    with our_client(vault, vault_timeout="1s") as client:
        with pytest.raises(VaultDownError, match=told):
            client.read("kv/webdav")
        assert client.read("kv/webdav")


def test_a_vault_that_is_not_there_is_named() -> None:
    nobody = SimulatedVault(url="http://127.0.0.1:1")

    with (
        our_client(nobody) as client,
        pytest.raises(VaultDownError, match=r"127\.0\.0\.1:1 .*cannot be reached"),
    ):
        client.read("kv/webdav")


def test_another_namespace_is_another_vault(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)
    vault.condition.namespace = "lab/drones"

    with our_client(vault, vault_namespace="lab/drones") as ours, our_client(vault) as others:
        assert ours.read("kv/webdav")
        with pytest.raises(VaultRefusedError, match="namespace not found"):
            others.read("kv/webdav")


def test_a_mount_that_is_not_there_is_no_missing_secret(vault: SimulatedVault) -> None:
    with our_client(vault) as client, pytest.raises(VaultRefusedError, match="no handler for route"):
        client.read("nowhere/webdav")


def test_names_with_odd_characters_are_read(vault: SimulatedVault) -> None:
    vault.put("kv/süd-ost/a b%c?d", USERS)

    with our_client(vault) as client:
        assert client.read("kv/süd-ost/a b%c?d")


def test_threads_share_one_client(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)
    versions: list[str] = []
    with our_client(vault) as client:

        def read() -> None:
            found = client.read("kv/webdav")
            versions.append(found.version if found else "")

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert versions == ["1"] * 8


def test_a_token_of_the_environment_is_not_taken(
    vault: SimulatedVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hvac would use VAULT_TOKEN, VAULT_ADDR and ~/.vault-token by itself."""
    monkeypatch.setenv("VAULT_TOKEN", vault.add_root("stray").id)
    vault.put("kv/webdav", USERS)

    with our_client(vault, vault_token=None) as client, pytest.raises(VaultDeniedError):
        client.read("kv/webdav")


def test_without_a_url_there_is_no_client() -> None:
    with (
        pytest.raises(InvalidInputError, match="FLIGHTLINE_VAULT_URL is not set"),
        our_client(SimulatedVault(url=""), vault_url=None),
    ):
        pass


def test_a_missing_file_of_certificates_is_named(vault: SimulatedVault) -> None:
    with (
        pytest.raises(InvalidInputError, match="FLIGHTLINE_VAULT_CA_FILE: there is no file /nowhere"),
        our_client(vault, vault_ca_file="/nowhere"),
    ):
        pass


def test_a_root_token_is_good_for_ever(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)

    with our_client(vault) as client:
        client.read("kv/webdav")
        assert client.keep() == math.inf


def test_a_vault_that_hangs_is_not_waited_for(vault: SimulatedVault) -> None:
    vault.put("kv/webdav", USERS)
    vault.condition.latency_s = 30
    started_s = time.monotonic()

    with our_client(vault, vault_timeout="500ms") as client, pytest.raises(VaultDownError):
        client.read("kv/webdav")

    assert time.monotonic() - started_s < 20
