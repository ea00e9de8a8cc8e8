from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInputError
from shared.settings import PlatformSettings, load


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    return monkeypatch


def test_nothing_is_known_of_tapis_unless_it_is_told() -> None:
    settings = load(PlatformSettings)

    assert settings.tapis_url is None
    assert settings.tapis_systems == "ptdatax.project.*"
    assert settings.file_rule.suffixes == (".jpg", ".jpeg")


@pytest.mark.parametrize(
    "url", ["https://portals.tapis.io/", "http://127.0.0.1:8900", "http://localhost:8900"]
)
def test_a_tenant_is_reached_safely(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("FLIGHTLINE_TAPIS_URL", url)
    environment.setenv("FLIGHTLINE_TAPIS_TENANT", "portals")

    assert load(PlatformSettings).tapis_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://portals.tapis.io", "in the clear"),
        ("portals.tapis.io", "begins with https"),
        ("https://anna:hidden@portals.tapis.io", "begins with https"),
        ("https://portals.tapis.io/?x=hidden", "begins with https"),
    ],
)
def test_other_urls_are_refused(environment: pytest.MonkeyPatch, url: str, says: str) -> None:
    environment.setenv("FLIGHTLINE_TAPIS_URL", url)
    environment.setenv("FLIGHTLINE_TAPIS_TENANT", "portals")

    with pytest.raises(InvalidInputError, match=says) as raised:
        load(PlatformSettings)
    assert "hidden@" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://discovery:8001",
        "http://discovery.flightline.svc:8001",
        "http://10.0.0.7:8001",
        "https://a.example",
    ],
)
def test_discovery_may_be_reached_over_a_network_of_our_own(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("FLIGHTLINE_DISCOVERY_URL", url)

    assert load(PlatformSettings).discovery_url == url


@pytest.mark.parametrize(
    "url", ["http://discovery.example.org", "http://8.8.8.8", "http://a:b@discovery:8001"]
)
def test_the_internal_token_does_not_travel_the_internet_in_the_clear(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("FLIGHTLINE_DISCOVERY_URL", url)

    with pytest.raises(InvalidInputError, match="DISCOVERY_URL"):
        load(PlatformSettings)


@pytest.mark.parametrize("name", ["TAPIS_URL", "TAPIS_CLIENT_ID", "TAPIS_USERNAME", "TAPIS_PASSWORD"])
def test_half_of_a_pair_is_refused(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(f"FLIGHTLINE_{name}", "https://portals.tapis.io")

    with pytest.raises(InvalidInputError, match="belong together"):
        load(PlatformSettings)


def test_logins_are_by_host_and_may_be_references(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "login").write_text("bert:pa:ss\n")
    environment.setenv(
        "FLIGHTLINE_DAV_LOGINS", f'{{"Cloud.example": "anna:x", "b:8443": "file:{tmp_path}/login"}}'
    )
    settings = load(PlatformSettings)

    assert {host: login.get_secret_value() for host, login in settings.dav_logins.items()} == {
        "cloud.example": "anna:x",
        "b:8443": "bert:pa:ss",
    }
    assert "anna" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "expected JSON"),
        ("[]", "dictionary"),
        ('{"cloud": "hidden"}', "user:password"),
        ('{"c": "env:NOT_SET"}', "NOT_SET"),
    ],
)
def test_logins_that_are_none_are_refused(environment: pytest.MonkeyPatch, text: str, says: str) -> None:
    environment.setenv("FLIGHTLINE_DAV_LOGINS", text)

    with pytest.raises(InvalidInputError, match=says) as raised:
        load(PlatformSettings)
    assert "hidden" not in str(raised.value).replace("(hidden)", "")


def test_what_makes_a_flight_can_be_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FLIGHTLINE_IMAGE_SUFFIXES", ".JPG, .tif")
    environment.setenv("FLIGHTLINE_SIDECARS", "*.csv")
    rule = load(PlatformSettings).file_rule

    assert (rule.is_image("a/b.TIF"), rule.is_sidecar("a/b.csv"), rule.is_sidecar("geo.txt")) == (
        True,
        True,
        False,
    )
