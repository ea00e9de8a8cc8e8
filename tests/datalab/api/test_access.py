"""Who is let in: tokens of both spellings, logins, one's own tokens, admins, web pages of other origins."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from datalab.accounts import TOKENS_AT_MOST
from shared.passwords import token_key
from tests.datalab.api.calling import SESSIONS, asked, made
from tests.support.lab import RunningLab, running_lab

PROTECTED = [
    ("GET", SESSIONS),
    ("POST", SESSIONS),
    ("GET", f"{SESSIONS}1/"),
    ("DELETE", f"{SESSIONS}1/"),
    ("GET", f"{SESSIONS}1/operations/"),
    ("POST", f"{SESSIONS}1/operations/"),
    ("POST", f"{SESSIONS}1/operations/bulk_delete/"),
    ("GET", "/api/available_operations/"),
    ("POST", "/api/analysis/wcs/"),
    ("GET", "/api/uploads/"),
    ("POST", "/api/uploads/"),
    ("GET", "/api/profile/"),
    ("GET", "/api/admin/users/"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_nobody_gets_in_without_a_token(lab: RunningLab, method: str, path: str) -> None:
    answer = lab.client().request(method, path)

    assert answer.status_code == 401
    assert answer.json()["detail"] == "Authentication credentials were not provided."
    assert answer.headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("Token", "Invalid token header. No credentials provided."),
        ("Token a b", "Invalid token header. Token string should not contain spaces."),
        ("Token tökén", "Invalid token header. Token string should not contain invalid characters."),
        ("Token 0123456789abcdef0123", "Invalid token."),
        ("Bearer nobodys-token-at-all", "Invalid token."),
        ("Token " + "x" * 5000, "Invalid token."),
        ("Basic dGVzdDp0ZXN0", "Authentication credentials were not provided."),
    ],
)
def test_a_bad_header_is_told(lab: RunningLab, header: str, detail: str) -> None:
    answer = lab.client().get(SESSIONS, headers={b"Authorization": header.encode("latin-1")})

    assert answer.status_code == 401
    assert answer.json() == {"error": detail, "detail": detail}


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "bearer"])
def test_a_token_opens_under_either_name(lab: RunningLab, me: httpx.Client, scheme: str) -> None:
    token = me.headers["Authorization"].split()[1]

    assert lab.client().get(SESSIONS, headers={"Authorization": f"{scheme} {token}"}).status_code == 200


@pytest.mark.parametrize("name", ["token", "access_token", "api_token", "TOKEN", "authorization"])
def test_a_token_in_a_url_is_refused(lab: RunningLab, me: httpx.Client, name: str) -> None:
    token = me.headers["Authorization"].split()[1]

    with_header = me.get(SESSIONS, params={name: token})
    without = lab.client().get(SESSIONS, params={name: token})

    assert with_header.status_code == without.status_code == 400
    assert "in a URL" in without.json()["error"]
    assert token not in without.text


def test_passwords_are_slow_hashes_and_tokens_are_kept_as_hashes_only(lab: RunningLab) -> None:
    lab.do(lab.accounts.add_user("hashed", "correct horse"))
    token = lab.do(lab.accounts.add_token("hashed"))

    user = lab.do(lab.accounts.users.load("hashed")).record.body
    kept = lab.do(lab.accounts.tokens.load(token_key(token))).record.body

    assert "correct horse" not in str(user)
    assert len(bytes.fromhex(user["password_hash"])) == 32
    assert token not in str(kept)


def test_a_login_gives_a_token_as_the_portals_form_does(lab: RunningLab) -> None:
    lab.do(lab.accounts.add_user("anna", "correct horse"))
    form = {"username": "anna", "password": "correct horse"}

    token = lab.client().post("/api/api-token-auth", data=form).json()["token"]

    assert lab.client(token).get("/api/profile/").json()["username"] == "anna"


@pytest.mark.parametrize(
    "form",
    [
        {"username": "the-admin", "password": "anything"},
        {"username": "\N{SNOWMAN}/..", "password": "x"},
    ],
)
def test_a_wrong_login_says_nothing_of_what_is_wrong(lab: RunningLab, form: dict[str, str]) -> None:
    answer = lab.client().post("/api/api-token-auth/", json=form)

    assert answer.status_code == 400
    assert answer.json()["non_field_errors"] == ["Unable to log in with provided credentials."]


@pytest.mark.parametrize(
    "body", [{}, {"username": "x"}, {"username": "x", "password": ""}, {"username": 1, "password": 2}]
)
def test_a_login_without_its_fields_is_told(lab: RunningLab, body: Any) -> None:
    answer = lab.client().post("/api/api-token-auth/", json=body)

    assert answer.status_code == 400
    assert answer.json().keys() & {"username", "password"}


@pytest.mark.long  # each guess takes a third of a second, as it is meant to
def test_passwords_cannot_be_guessed_quickly(lab: RunningLab) -> None:
    form = {"username": "guessed", "password": "x"}

    statuses = [lab.client().post("/api/api-token-auth/", json=form).status_code for _ in range(7)]

    assert statuses == [400] * 5 + [503] * 2


def test_a_user_has_several_tokens_and_revokes_them_one_by_one(lab: RunningLab, me: httpx.Client) -> None:
    notebook = me.post("/api/profile/tokens/", json={"label": "notebook"}).json()["token"]
    profile = me.get("/api/profile/").json()
    (row,) = [token for token in profile["tokens"] if token["label"] == "notebook"]
    assert lab.client(notebook).get("/api/profile/").json()["username"] == profile["username"]

    assert me.delete(f"/api/profile/tokens/{row['id']}/").status_code == 204

    assert lab.client(notebook).get("/api/profile/").status_code == 401
    assert me.get("/api/profile/").status_code == 200
    assert me.delete(f"/api/profile/tokens/{row['id']}/").status_code == 404


def test_the_last_use_of_a_token_is_told(me: httpx.Client) -> None:
    (token,) = me.get("/api/profile/").json()["tokens"]

    assert token["used"] >= token["created"]


def test_somebody_elses_token_is_not_revoked(me: httpx.Client, other: httpx.Client) -> None:
    (theirs,) = other.get("/api/profile/").json()["tokens"]

    assert me.delete(f"/api/profile/tokens/{theirs['id']}/").status_code == 404
    assert other.get("/api/profile/").status_code == 200


@pytest.mark.parametrize("label", [1e9, ["x"], "x" * 101, None])
def test_a_bad_label_is_refused_or_read_as_text(me: httpx.Client, label: Any) -> None:
    assert me.post("/api/profile/tokens/", json={"label": label}).status_code in (201, 400)


def test_logins_push_out_the_oldest_and_leave_other_tokens(lab: RunningLab, me: httpx.Client) -> None:
    name = me.get("/api/profile/").json()["username"]
    for _ in range(TOKENS_AT_MOST + 2):
        lab.do(lab.accounts.add_token(name, label="login"))

    labels = [token["label"] for token in me.get("/api/profile/").json()["tokens"]]

    assert labels.count("login") == TOKENS_AT_MOST
    assert labels.count("") == 1


def test_admins_read_what_belongs_to_others_and_change_nothing(lab: RunningLab, other: httpx.Client) -> None:
    admin = lab.user("the-admin", is_admin=True)
    session = made(other, "theirs")
    operation = asked(other, session["id"])
    user = session["user"]

    rows = admin.get("/api/admin/sessions/", params={"user": user}).json()["results"]
    read = admin.get(f"/api/admin/sessions/{session['id']}/").json()
    users = admin.get("/api/admin/users/", params={"limit": 1000}).json()["results"]

    assert [(row["id"], row["user"], row["operation_count"]) for row in rows] == [(session["id"], user, 1)]
    assert read["operations"] == [operation]
    assert {"the-admin", user} <= {one["username"] for one in users}
    assert "salt" not in str(users)
    assert admin.get(f"{SESSIONS}{session['id']}/").status_code == 404
    assert admin.delete(f"/api/admin/sessions/{session['id']}/").status_code == 405


@pytest.mark.parametrize("path", ["users/", "sessions/", "sessions/1/"])
def test_others_are_no_admins(me: httpx.Client, path: str) -> None:
    assert me.get(f"/api/admin/{path}").status_code == 403


def test_an_admin_finds_no_session_that_is_not_there(lab: RunningLab) -> None:
    admin = lab.user("another-admin", is_admin=True)

    assert admin.get("/api/admin/sessions/999999/").status_code == 404
    assert admin.get("/api/admin/users/", params={"offset": 10**6}).json()["results"] == []


def test_the_operator_reads_with_the_services_own_token_and_web_pages_are_let_in_by_origin(
    tmp_path: Any,
) -> None:
    own = "the-services-own-token"
    with running_lab(tmp_path, token=own, cors_origins=("https://lab.example.org",)) as guarded:
        operator = guarded.client(own)
        me = guarded.user()
        wanted = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type",
        }

        preflight = me.options(SESSIONS, headers={"Origin": "https://lab.example.org", **wanted})
        stranger = me.options(SESSIONS, headers={"Origin": "https://evil.example.org", **wanted})
        refused = guarded.client().get(SESSIONS, headers={"Origin": "https://lab.example.org"})
        read = operator.get("/api/admin/users/")
        acting = operator.get(SESSIONS)

    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://lab.example.org"
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert refused.headers["Access-Control-Allow-Origin"] == "https://lab.example.org"
    assert (read.status_code, acting.status_code) == (200, 401)
