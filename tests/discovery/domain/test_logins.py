from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from discovery.domain.logins import Login, LoginState, allowed_redirect
from discovery.domain.notifications import Occasion
from discovery.domain.preferences import (
    Outcome,
    Plan,
    Preferences,
    after_login,
    discovered,
    not_discovered,
    preferring,
    triggered,
)
from discovery.domain.principals import Credential, credential, is_own_page, origins_of
from shared.due import NEVER_S

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ORIGINS = frozenset({"https://odm.example.org", "http://127.0.0.1:8001"})
DONE = Outcome(ended_at=NOW)


def login(ends_in: timedelta, life: timedelta = timedelta(hours=4), **fields: object) -> Login:
    ends_at = NOW + ends_in
    return Login(
        owner="ann@tacc",
        username="ann",
        tenant="tacc",
        access_token="v1.x",
        access_expires_at=ends_at,
        logged_in_at=NOW,
        renewed_at=ends_at - life,
    ).model_copy(update=fields)


@pytest.mark.parametrize(
    "target", ["/", "/api/flights/?a=b#c", "https://odm.example.org/x", "http://127.0.0.1:8001"]
)
def test_a_browser_is_sent_to_our_paths_and_allowed_origins(target: str) -> None:
    assert allowed_redirect(target, ORIGINS) == target


@pytest.mark.parametrize(
    "target",
    [
        "//odm.example.org", "/\\odm", "https://odm.example.org:444/", "http://odm.example.org/", "ftp://x/",
        "https://a@odm.example.org/", "https://odm.example.org.evil.org", "x", "data:text/html,x", "/ x",
        "/\tx", "https://[", "/" + "x" * 2001,
    ],
)  # fmt: skip
def test_a_browser_is_sent_nowhere_else(target: str) -> None:
    assert allowed_redirect(target, ORIGINS) is None


def test_a_login_is_renewed_ahead_of_its_end_by_five_minutes_or_a_quarter() -> None:
    long, short = login(timedelta(hours=1)), login(timedelta(seconds=30), timedelta(seconds=60))

    assert (long.renew_ahead(), short.renew_ahead()) == (timedelta(minutes=5), timedelta(seconds=15))
    assert long.is_good(NOW, ahead=long.renew_ahead())
    assert not login(timedelta(minutes=4)).is_good(NOW, ahead=timedelta(minutes=5))
    assert not login(timedelta(hours=1), state=LoginState.LOGIN_NEEDED).is_good(NOW)
    assert "v1.x" not in repr(long)


@pytest.mark.parametrize(
    ("headers", "cookies", "expected"),
    [
        ({}, {}, None),
        ({"x-tapis-token": "t"}, {"flightline_session": "s"}, Credential("token", "t")),
        ({"authorization": "Bearer t"}, {}, Credential("token", "t")),
        ({"authorization": "bearer  t "}, {}, Credential("token", "t")),
        ({"authorization": "JWT t"}, {}, Credential("token", "t")),
        ({"authorization": "Basic t"}, {"flightline_session": "s"}, Credential("session", "s")),
        ({"authorization": "Bearer "}, {}, None),
    ],
)
def test_what_is_shown_on_purpose_counts_before_a_cookie(
    headers: dict[str, str], cookies: dict[str, str], expected: Credential | None
) -> None:
    assert credential(headers, cookies) == expected


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({}, True),
        ({"origin": "https://flights.example.org"}, True),
        ({"origin": "https://ODM.example.org"}, True),
        ({"origin": "https://evil.example.org"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://flights.example.org"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_only_our_pages_act_with_a_cookie(headers: dict[str, str], is_own: bool) -> None:
    own = origins_of("ignored", "https://flights.example.org/x", ("https://odm.example.org",))

    assert is_own_page(headers, own) is is_own


def test_without_a_public_url_the_host_that_was_asked_is_ours() -> None:
    assert origins_of("127.0.0.1:8001", None, ()) == {"http://127.0.0.1:8001", "https://127.0.0.1:8001"}


def test_a_discovery_begins_the_cooldown_unless_it_could_not_look() -> None:
    plan = Plan(owner="ann", preferences=Preferences(discovery_cooldown_hours=2))
    looked = discovered(plan, DONE)
    failed = not_discovered(plan, DONE, timedelta(minutes=5))

    assert triggered(looked, NOW + timedelta(minutes=119)) is None
    assert triggered(looked, NOW + timedelta(hours=2)) is not None
    assert (looked.due_s, failed.can_run(NOW)) == (NEVER_S, True)
    assert failed.due_s == (NOW + timedelta(minutes=5)).timestamp()


def test_a_login_begins_a_discovery_for_who_wants_it() -> None:
    wanting = Plan(owner="ann", preferences=Preferences(auto_discover_on_login=True))
    begun = after_login(wanting, NOW)

    assert begun is not None
    assert begun.due_s == NOW.timestamp()
    assert after_login(Plan(owner="ann"), NOW) is None
    assert after_login(discovered(wanting, DONE), NOW + timedelta(hours=1)) is None


def test_a_schedule_goes_on_by_itself_until_it_is_not_wanted_any_more() -> None:
    scheduled = preferring(Plan(owner="ann"), Preferences(auto_discover_on_schedule=True), NOW)
    again = discovered(scheduled, DONE)
    ended = preferring(again, Preferences(), NOW)

    assert (scheduled.due_s, ended.due_s) == (NOW.timestamp(), NEVER_S)
    assert again.due_s == (NOW + timedelta(hours=24)).timestamp()


def test_what_was_asked_for_is_done_although_preferences_change() -> None:
    asked = triggered(Plan(owner="ann"), NOW)

    assert asked is not None
    assert preferring(asked, Preferences(notify_on_errors=True), NOW).due_s == NOW.timestamp()


def test_wishes_follow_from_preferences() -> None:
    preferences = Preferences(notify_on_discovery=True, notify_on_errors=True, notify_email="a@example.org")

    assert preferences.wishes.occasions == {Occasion.FOUND, Occasion.FAILED}
    assert preferences.wishes.email == "a@example.org"
