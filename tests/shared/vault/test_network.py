"""Certificates, redirects, and what answers without an end."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from shared.vault import VaultRefusedError
from shared.vault.session import ANSWER_AT_MOST_BYTES
from tests.support.vault import our_client, vault_server

TOKEN = "token-that-must-not-travel-in-the-clear"
CHUNK = b" " * 65536


class Handler(BaseHTTPRequestHandler):
    """Answers as its server wants it."""

    server: Server

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers.get("X-Vault-Token"))
        if self.server.redirects_to:
            self.send_response(307)
            self.send_header("Location", self.server.redirects_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.server.is_endless:
            self._send_without_end()
        else:
            self.wfile.write(json.dumps({"data": {"data": {"a": 1}, "metadata": {"version": 1}}}).encode())

    def _send_without_end(self) -> None:
        try:
            for _ in range(4 * ANSWER_AT_MOST_BYTES // len(CHUNK)):
                self.wfile.write(CHUNK)
                self.server.sent_bytes += len(CHUNK)
        except OSError:
            return  # nobody listens any more

    @override
    def log_message(self, *_args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server that only looks like Vault."""

    redirects_to = ""
    is_endless = False
    sent_bytes = 0

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens: list[str | None] = []
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients are meant to go away."""


@contextmanager
def served(server: Server) -> Iterator[Server]:
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "vault.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_a_certificate_of_our_own_is_trusted_if_it_is_named(certificate: Path) -> None:
    with (
        served(Server(certificate=certificate)) as server,
        our_client(server, vault_ca_file=certificate, vault_kv_version="2") as client,
    ):
        assert client.read("kv/webdav")


def test_a_certificate_that_nobody_knows_is_told(certificate: Path) -> None:
    with (
        served(Server(certificate=certificate)) as server,
        our_client(server, vault_token=TOKEN) as client,
        pytest.raises(VaultRefusedError, match="FLIGHTLINE_VAULT_CA_FILE"),
    ):
        client.read("kv/webdav")

    assert server.tokens == []


def test_a_standby_leads_to_the_active_node() -> None:
    with vault_server() as active, vault_server() as standby:
        active.put("kv/webdav", {"a": 1})
        standby.condition.is_standby, standby.condition.active_url = True, active.url
        with our_client(standby) as client:
            assert client.read("kv/webdav")


def test_a_redirect_into_the_clear_gets_no_token(certificate: Path) -> None:
    with served(Server()) as plain, served(Server(certificate=certificate)) as server:
        server.redirects_to = plain.url
        with (
            our_client(server, vault_ca_file=certificate, vault_token=TOKEN) as client,
            pytest.raises(VaultRefusedError, match="redirects to http://"),
        ):
            client.read("kv/webdav")

    assert plain.tokens == []


def test_redirects_in_a_circle_end() -> None:
    with served(Server()) as server:
        server.redirects_to = server.url
        with our_client(server) as client, pytest.raises(VaultRefusedError, match="redirects in circles"):
            client.read("kv/webdav")


def test_an_answer_without_an_end_is_cut_off() -> None:
    with served(Server()) as server:
        server.is_endless = True
        with our_client(server) as client, pytest.raises(VaultRefusedError, match="larger than"):
            client.read("kv/webdav")

    assert server.sent_bytes < 4 * ANSWER_AT_MOST_BYTES
