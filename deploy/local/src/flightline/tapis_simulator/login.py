"""The Authenticator for people: log in, say yes, and go back to where one came from."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from aiohttp import web

from flightline.tapis_simulator.accounts import Client, Code
from flightline.tapis_simulator.answers import RefusedError
from flightline.tapis_simulator.asking import TAPIS
from flightline.tapis_simulator.tapis import Tapis
from flightline.tapis_simulator.tokens import Grant

_COOKIE = "tapis-session"
_CARRIED = ("client_id", "redirect_uri", "response_type", "state", "scope")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><main><h1>{title}</h1>{body}</main></body></html>"""


async def authorize(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/authorize``: the question whether the client may act for the user."""
    client = _asked_client(request, request.query)
    user = _session_user(request)
    if user is None:
        raise web.HTTPFound(f"/v3/oauth2/login?{urlencode(_carried(request.query))}")
    name = escape(client.display_name or client.client_id)
    question = f"<p>{name} asks to act for {escape(user)}.</p>"
    inputs = _hidden({**_carried(request.query), "csrf": request.cookies[_COOKIE][:16]})
    buttons = '<button name="approve" value="yes">Yes</button> <button name="approve" value="no">No</button>'
    return _page("Give access?", f'{question}<form method="post">{inputs}{buttons}</form>')


async def consent(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/authorize``: send the browser back, with a code if the user said yes."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    client, user = _asked_client(request, form), _session_user(request)
    expected = request.cookies.get(_COOKIE, "")[:16]
    if user is None or not hmac.compare_digest(form.get("csrf", "").encode(), expected.encode()):
        raise RefusedError(400, "The session is over; please log in again.")
    state = {"state": form["state"]} if "state" in form else {}
    if form.get("approve") != "yes":
        raise _back(client, {"error": "access_denied", **state})
    if form.get("response_type") == "token":
        raise _back(client, {**_implicit(request.app[TAPIS], user, client), **state})
    code = request.app[TAPIS].accounts.codes.keep(Code(user, client.client_id, client.callback_url))
    raise _back(client, {"code": code, **state})


async def login_page(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/login``."""
    return _login_form({name: value for name, value in request.query.items() if name in (*_CARRIED, "next")})


async def login(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/login``."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    accounts, username = request.app[TAPIS].accounts, form.pop("username", "")
    try:
        accounts.check_password(username, form.pop("password", ""))
    except RefusedError as refusal:
        return _login_form(form, escape(refusal.message))
    onward = "device" if form.pop("next", "") == "device" else "authorize"
    response = web.HTTPFound(f"/v3/oauth2/{onward}?{urlencode(_carried(form))}")
    response.set_cookie(_COOKIE, accounts.sessions.keep(username), httponly=True, samesite="Lax")
    raise response


async def device_page(request: web.Request) -> web.Response:
    """Answer ``GET /v3/oauth2/device``: where a user types a device's code in."""
    if _session_user(request) is None:
        raise web.HTTPFound(f"/v3/oauth2/login?{urlencode({**_carried(request.query), 'next': 'device'})}")
    return _page(
        "Connect a device",
        '<form method="post"><label>Code <input name="user_code" required></label>'
        " <button>Connect</button></form>",
    )


async def device(request: web.Request) -> web.Response:
    """Answer ``POST /v3/oauth2/device``."""
    user, form = _session_user(request), await request.post()
    if user is None:
        raise RefusedError(400, "The session is over; please log in again.")
    for waiting in request.app[TAPIS].accounts.devices.all():
        if waiting.user_code == str(form.get("user_code", "")).strip().upper():
            waiting.username = user
            return _page("Connected", "<p>The device may act for you now; you can close this page.</p>")
    raise RefusedError(400, "Invalid user code.")


def _asked_client(request: web.Request, given: Mapping[str, str]) -> Client:
    """Return the client that asks, if it may be asked for and the browser goes back where it belongs."""
    client = request.app[TAPIS].accounts.clients.get(given.get("client_id", ""))
    if client is None:
        raise RefusedError(400, "Invalid client_id: there is no such client.")
    if given.get("response_type", "code") not in ("code", "token"):
        raise RefusedError(400, "Invalid response_type: it must be code or token.")
    if given.get("redirect_uri") != client.callback_url:
        raise RefusedError(400, "Invalid redirect_uri: it is not the callback_url of the client.")
    return client


def _session_user(request: web.Request) -> str | None:
    return request.app[TAPIS].accounts.sessions.get(request.cookies.get(_COOKIE, ""))


def _carried(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in _CARRIED if name in given}


def _implicit(tapis: Tapis, user: str, client: Client) -> dict[str, str]:
    tokens = tapis.issuer.issue(Grant(user, "implicit", client.client_id, client.callback_url))
    access = tokens["access_token"]
    return {
        "access_token": access["access_token"],
        "expires_in": str(access["expires_in"]),
        "expires_at": access["expires_at"],
        "token_type": "Bearer",
    }


def _back(client: Client, parameters: Mapping[str, str]) -> web.HTTPFound:
    joint = "&" if "?" in client.callback_url else "?"
    return web.HTTPFound(f"{client.callback_url}{joint}{urlencode(parameters)}")


def _login_form(carried: Mapping[str, str], complaint: str = "") -> web.Response:
    body = (
        f'<p>{complaint}</p><form method="post">{_hidden(carried)}'
        '<label>User <input name="username" required></label> '
        '<label>Password <input name="password" type="password" required></label> '
        "<button>Log in</button></form>"
    )
    return _page("Log in to Tapis (simulated)", body)


def _hidden(values: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in values.items()
    )


def _page(title: str, body: str) -> web.Response:
    return web.Response(text=_PAGE.format(title=title, body=body), content_type="text/html")
