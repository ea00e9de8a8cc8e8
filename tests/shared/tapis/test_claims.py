from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.tapis.claims import TokenRefusedError, verify
from tests.support.tapis import USER, TapisServer

BASE = "https://portals.tapis.io"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
GOOD: dict[str, Any] = {
    "jti": "1",
    "iss": f"{BASE}/v3/tokens",
    "sub": "anna@portals",
    "tapis/tenant_id": "portals",
    "tapis/token_type": "access",
    "tapis/account_type": "user",
    "tapis/username": "anna",
    "tapis/client_id": "flightline",
}


def signed(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    claims = {**GOOD, "exp": int(time.time()) + 600} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm)


def test_a_good_token_says_whom_it_is_for() -> None:
    claims = verify(signed(), PEM, "portals", f"{BASE}/")

    assert (claims.username, claims.owner, claims.client_id) == ("anna", "anna@portals", "flightline")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iss": "https://evil.example/v3/tokens"},
        {"iss": None},
        {"sub": "eve@portals"},
        {"sub": None},
        {"tapis/tenant_id": "other"},
        {"tapis/token_type": "refresh"},
        {"tapis/account_type": "service"},
        {"tapis/account_type": None},
        {"tapis/username": None},
        {"tapis/username": "an\nna", "sub": "an\nna@portals"},
        {"tapis/username": 7},
    ],
)
def test_a_token_with_anything_wrong_in_it_does_not_count(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefusedError):
        verify(signed(**changes), PEM, "portals", BASE)


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHER_KEY),
        signed("a-secret-that-is-long-enough-for-hmac-256", "HS256"),
        jwt.encode({**GOOD, "exp": time.time() + 600}, "", "none"),
        signed()[:-4],
        "",
        "nonsense",
        "x" * 100_000,
    ],
    ids=["another key", "HS256", "none", "cut", "empty", "nonsense", "long"],
)
def test_a_token_that_is_not_the_tenants_does_not_count(token: str) -> None:
    with pytest.raises(TokenRefusedError) as raised:
        verify(token, PEM, "portals", BASE)
    assert not token or token not in str(raised.value)


def test_a_token_signed_with_the_public_key_does_not_count() -> None:
    payload = signed().split(".")[1]
    header = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    mac = hmac.digest(PEM.encode(), f"{header}.{payload}".encode(), "sha256")
    forged = f"{header}.{payload}.{urlsafe_b64encode(mac).decode().rstrip('=')}"

    with pytest.raises(TokenRefusedError):
        verify(forged, PEM, "portals", BASE)


async def test_tokens_of_the_simulator_count(server: TapisServer) -> None:
    token = server.tapis.issuer.access_token(USER)

    assert verify(token, server.tapis.issuer.public_key, "portals", server.url).owner == f"{USER}@portals"
