from __future__ import annotations

import pytest

from discovery.config import Settings
from discovery.domain.places import shown_to_all
from shared.errors import InvalidInputError

SECRET = "5ec7e7c0ffee5ec7e7c0ffee"
SIGNED = (
    f"https://bucket.s3.amazonaws.com/flight.json?X-Amz-Date=20261121T000000Z&X-Amz-Signature={SECRET}",
    f"https://storage.example.org/flight.zip?sv=2024-11-04&se=2027&sig={SECRET}",
    f"https://storage.googleapis.com/b/flight.zip?GoogleAccessId=a&Expires=1&Signature={SECRET}",
    f"HTTPS://example.org/flight.zip?token={SECRET}#part",
    f"https://example.org/flight.zip?a=1&%73ig={SECRET}",
)
PLAIN = (
    "https://example.org/flights/flight.json",
    "https://example.org/flight.zip?version=7&area=north%20field",
    "tapis://ptdatax.project.x/Flight?token=1",
    "file:///data/what?sig=1",
    "s3://bucket/flights",
)


@pytest.mark.parametrize("uri", SIGNED)
def test_a_signed_url_is_refused_without_its_secret(uri: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        shown_to_all(uri)

    assert SECRET not in str(refused.value)
    assert "s3://" in str(refused.value)


@pytest.mark.parametrize("uri", PLAIN)
def test_what_holds_no_secret_may_be_shown(uri: str) -> None:
    assert shown_to_all(uri) == uri


def test_a_root_that_is_signed_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="carries a secret in its query") as refused:
        Settings(roots=(SIGNED[0],))

    assert "a manifest at a URL without a signature" in str(refused.value)
