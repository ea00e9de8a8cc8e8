"""Signed URLs of objects in a folder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from shared.objects.file import FileObjects
from shared.objects.signing import Signer, verify_presigned


@pytest.fixture
def signer() -> Signer:
    return Signer("https://gateway.example/objects/", SecretStr("secret"))


async def presigned(tmp_path: Path, signer: Signer, expires: timedelta) -> tuple[str, dict[str, str]]:
    url = urlsplit(await FileObjects(tmp_path, signer).presign("a b/ü", expires=expires))
    return url.path, dict(parse_qsl(url.query))


async def test_a_signed_url_is_accepted_until_it_expires(tmp_path: Path, signer: Signer) -> None:
    path, parameters = await presigned(tmp_path, signer, timedelta(minutes=1))
    assert path == "/objects/a%20b/%C3%BC"
    assert verify_presigned("a b/ü", parameters, signer.secret)

    _, expired = await presigned(tmp_path, signer, timedelta(seconds=-1))
    assert not verify_presigned("a b/ü", expired, signer.secret)


@pytest.mark.parametrize(
    "change", [{"expires": "99999999999"}, {"signature": "0" * 64}, {"signature": "ü"}, {"expires": "x"}]
)
async def test_a_changed_url_is_refused(tmp_path: Path, signer: Signer, change: dict[str, str]) -> None:
    _, parameters = await presigned(tmp_path, signer, timedelta(minutes=1))

    assert not verify_presigned("a b/ü", {**parameters, **change}, signer.secret)
    assert not verify_presigned("other", parameters, signer.secret)
    assert not verify_presigned("a b/ü", {}, signer.secret)
