"""Where a place is, what is refused, and that its password stays in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.dav import DavPlace, is_temporary, nextcloud_files_url
from shared.dav.paths import age_of, decoded, encoded, probe_in, temporary_beside, why_not_confined
from shared.errors import InvalidInputError

PASSWORD = SecretStr("hidden")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cloud.example.org",
        "ftp://cloud.example.org/",
        "https:///dav/",
        "https://anna:hidden@cloud.example.org/dav/",
        "https://cloud.example.org/dav/?token=hidden",
        "https://cloud.example.org/a/../b/",
        "https://cloud.example.org/a/%2e%2e/b/",
        "https://cloud.example.org:port/",
        "https://cloud.example.org/\n",
        "http://cloud.example.org/dav/",
        "http://93.184.216.34/dav/",
    ],
)
def test_an_address_that_will_not_do_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        DavPlace(url, "anna", PASSWORD)

    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/", "http://localhost/", "http://nextcloud/", "http://10.0.0.5/", "https://a.b/"],
)
def test_a_password_may_travel_in_the_clear_within_our_own_network(url: str) -> None:
    assert DavPlace(url, "anna", PASSWORD).url == url


def test_a_password_may_travel_in_the_clear_where_the_place_says_so() -> None:
    assert DavPlace("http://cloud.example.org", "anna", PASSWORD, allow_plain=True).url.endswith(".org/")
    assert DavPlace("http://cloud.example.org", host_url="http://cloud.example.org").authorization == ""


def test_a_place_never_shows_its_password() -> None:
    place = DavPlace("https://cloud.example.org/dav", "anna", PASSWORD)

    assert place.authorization == "Basic YW5uYTpoaWRkZW4="
    assert "hidden" not in f"{place!r} {place}"
    assert "YW5uYTpoaWRkZW4" not in f"{place!r}"


@pytest.mark.parametrize(
    ("url", "host_url", "root", "home"),
    [
        ("https://c.example/remote.php/dav/files/anna/", "", "https://c.example", ("anna", "")),
        ("https://c.example/remote.php/dav/files/a%40b/data/x", "", "https://c.example", ("a@b", "data/x")),
        (
            "https://c.example/nc/remote.php/webdav/user_folder/",
            "",
            "https://c.example/nc",
            ("", "user_folder"),
        ),
        ("https://c.example/remote.php/webdav/", "", "https://c.example", ("", "")),
        ("https://c.example/dav/", "https://c.example", "https://c.example", ("", "")),
        (
            "https://c.example/remote.php/webdav/user_folder/",
            "https://c.example/remote.php/webdav/",
            "https://c.example",
            ("", "user_folder"),
        ),
        ("https://c.example/dav/", "", "", ("", "")),
    ],
)
def test_nextcloud_is_found_from_the_addresses_that_people_write(
    url: str, host_url: str, root: str, home: tuple[str, str]
) -> None:
    place = DavPlace(url, "anna", PASSWORD, host_url=host_url)

    assert (place.nextcloud_url, place.home_path) == (root, home)


def test_files_of_a_user_lie_at_an_address_of_their_own() -> None:
    expected = "https://c.example/remote.php/dav/files/a%40b%2Fc/"

    assert nextcloud_files_url("https://c.example", "a@b/c") == expected
    assert nextcloud_files_url("https://c.example/remote.php/webdav/", "a@b/c") == expected


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_path_comes_back_from_its_address(text: str) -> None:
    if why_not_confined(text):
        return
    assert decoded("/" + encoded(text)) == "/" + text
    assert decoded("https://c.example/" + encoded(text).replace("%C3", "%c3")) == "/" + text


@given(st.text(max_size=30))
def test_no_confined_path_has_a_part_that_leads_elsewhere(text: str) -> None:
    if not why_not_confined(text) and text:
        assert not {"", ".", ".."} & set(text.split("/"))
        assert encoded(text).isascii()


def test_temporary_names_are_known_again_cannot_be_guessed_and_are_nobody_else_s() -> None:
    one, other = temporary_beside("a/b.jpg"), temporary_beside("a/b.jpg")

    assert one != other
    assert one.startswith("a/.flightline-new-")
    assert all(is_temporary(path.rpartition("/")[2]) for path in (one, other, probe_in("a"), probe_in("")))
    assert age_of(one.rpartition("/")[2]).total_seconds() < 60
    assert not any(map(is_temporary, ("a.jpg", ".flightline-notes", ".flightline-new-", one + ".jpg", one)))


def test_importing_the_client_needs_no_aiohttp() -> None:
    code = "import sys, shared.dav; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
