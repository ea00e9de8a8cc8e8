"""What users and tests turn while the simulator runs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flightline.vault_simulator import SimulatedVault


@pytest.fixture
def turn(vault: SimulatedVault) -> Any:
    def ask(method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, f"{vault.url}/simulator/{path}", json=body, timeout=30)

    return ask


def test_the_condition_is_changed(vault: SimulatedVault, turn: Any) -> None:
    assert turn("PATCH", "condition", {"is_sealed": True, "denied": ["kv/"]}).status_code == 204

    assert vault.condition.is_sealed
    assert vault.condition.denied == ("kv/",)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "condition", {"is_seald": True}),
        ("PATCH", "condition", {"latency_s": -1}),
        ("POST", "faults", {"kind": "flood"}),
    ],
)
def test_what_does_not_fit_is_explained(turn: Any, method: str, path: str, body: Any) -> None:
    answer = turn(method, path, body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"]


def test_secrets_are_written_and_patched(vault: SimulatedVault, turn: Any) -> None:
    assert turn("PUT", "secrets/kv/webdav", {"username": "mia", "password": "a"}).json() == {"version": 1}
    assert turn("PATCH", "secrets/kv/webdav", {"password": "b"}).json() == {"version": 2}
    turn("PUT", "secrets/team/old/webdav", {"username": "tom"})

    assert vault.values("kv/webdav") == {"username": "mia", "password": "b"}
    assert vault.values("team/old/webdav") == {"username": "tom"}
    assert turn("PATCH", "secrets/kv/nothing", {}).status_code == 404


def test_roles_are_changed(vault: SimulatedVault, turn: Any) -> None:
    role = vault.add_kubernetes_role("flightline", "eyJ.one")

    turn("PATCH", "roles/flightline", {"tokens": ["eyJ.two"], "lease_s": 5})

    assert (role.tokens, role.lease_s) == ({"eyJ.two"}, 5)
    assert turn("PATCH", "roles/nobody", {}).status_code == 404


def test_tokens_are_ended_but_roots(vault: SimulatedVault, client: Any, turn: Any) -> None:
    vault.add_token()

    assert turn("POST", "tokens/end").json() == {"ended": 1}
    assert client.is_authenticated()


def test_faults_come_and_go(client: Any, turn: Any) -> None:
    turn("POST", "faults", {"kind": "status", "path": "auth/", "status": 500, "times": 1})
    number = turn("POST", "faults", {"kind": "html", "path": "kv/"}).json()["id"]

    assert len(turn("GET", "faults").json()) == 2
    assert client.secrets.kv.v1.read_secret("a", mount_point="kv").text.startswith("<html>")
    with pytest.raises(Exception, match="internal error"):
        client.auth.token.lookup_self()
    assert client.is_authenticated()
    assert turn("DELETE", f"faults/{number}").status_code == 204
    assert turn("DELETE", f"faults/{number}").status_code == 404
    assert turn("DELETE", "faults").status_code == 204


def test_calls_are_counted_without_what_they_carry(client: Any, turn: Any) -> None:
    client.secrets.kv.v2.create_or_update_secret("webdav", {"password": "hunter2"}, mount_point="kv")

    told = turn("GET", "calls")

    assert told.json()["by_call"] == {"POST kv/data/webdav": 1}
    assert told.json()["last"] == [{"method": "POST", "path": "kv/data/webdav", "status": 200}]
    assert "hunter2" not in told.text
    turn("DELETE", "calls")
    assert turn("GET", "calls").json()["total"] == 0


def test_a_body_that_is_too_large_is_refused(vault: SimulatedVault, client: Any) -> None:
    answer = httpx.post(
        f"{vault.url}/v1/kv/data/webdav",
        content=b" " * ((1 << 20) + 1),
        headers={"X-Vault-Token": client.token},
        timeout=30,
    )

    assert answer.status_code == 413
