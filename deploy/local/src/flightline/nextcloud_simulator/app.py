"""Every address of the simulator, as one WSGI application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flightline.nextcloud_simulator import conditions, control, files, names, tag_routes
from flightline.nextcloud_simulator.answers import Answer, RefusedError, json_answer
from flightline.nextcloud_simulator.faults import Rule
from flightline.nextcloud_simulator.files import Asked
from flightline.nextcloud_simulator.index import Node
from flightline.nextcloud_simulator.nextcloud import Nextcloud
from flightline.nextcloud_simulator.reading import reading
from flightline.nextcloud_simulator.requests import Environ, Request

StartResponse = Callable[..., Any]

_VERBS: dict[str, Callable[[Asked], Answer]] = {
    "OPTIONS": files.options,
    "PROPFIND": files.propfind,
    "REPORT": files.report,
    "PUT": files.put,
    "PATCH": files.patch,
    "MKCOL": files.mkcol,
    "DELETE": files.delete,
    "MOVE": files.move,
}
_STATUS = {
    "installed": True,
    "maintenance": False,
    "needsDbUpgrade": False,
    "version": "27.1.0.0",
    "versionstring": "27.1.0",
    "edition": "",
    "productname": "Nextcloud (simulated)",
}


class App:
    """The WSGI side of a `Nextcloud`."""

    def __init__(self, nextcloud: Nextcloud) -> None:
        self._nextcloud = nextcloud
        self._homes = [f"/remote.php/dav/files/{nextcloud.account.user}", files.OLD_HOME]
        self._wsgidav = reading(nextcloud.tree, self._homes)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        cookies: dict[str, str] = {}
        try:
            answer = self._answer(request, cookies)
        except RefusedError as refusal:
            answer = refusal.answer()
        if answer is None:
            return self._read(environ, start_response, cookies)
        start_response(answer.status_line, [*answer.header_list(), *cookies.items()])
        return [b"" if request.method == "HEAD" else answer.body]

    def _read(
        self, environ: Environ, start_response: StartResponse, cookies: dict[str, str]
    ) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *cookies.items()], *more)

        found: Iterable[bytes] = self._wsgidav(environ, start)
        return found

    def _answer(self, request: Request, cookies: dict[str, str]) -> Answer | None:
        """Return the answer; none where wsgidav gives it."""
        if request.path.startswith(control.CONTROL):
            return control.answer(self._nextcloud, request)
        if request.path == "/status.php":
            return json_answer(_STATUS)
        self._nextcloud.count(request.method)
        struck = self._nextcloud.faults.strike(request.method, _paths(request))
        if (early := _trouble(struck)) is not None:
            return early
        cookies |= self._nextcloud.account.log_in(
            request.headers.get("Authorization", ""), request.headers.get("Cookie", "")
        )
        answer = self._routed(request)
        late = next((rule for rule in struck if rule.kind == "late-status"), None)
        return late.answer() if late else answer

    def _routed(self, request: Request) -> Answer | None:
        if request.path.startswith(tag_routes.RELATIONS):
            return tag_routes.answer_relations(self._nextcloud, request)
        if request.path.startswith(tag_routes.TAGS):
            return tag_routes.answer_tags(self._nextcloud, request)
        asked = self._asked(request)
        if request.method != "OPTIONS":
            self._check_conditions(asked)
        if verb := _VERBS.get(request.method):
            return verb(asked)
        if request.method == "COPY":
            files.check_copy(asked)
        if request.method in ("GET", "HEAD"):
            _ = asked.node
        if request.method in ("GET", "HEAD", "COPY", "PROPPATCH"):
            return None
        raise RefusedError(501, f'There was no handler found for this "{request.method}" method')

    def _asked(self, request: Request) -> Asked:
        for base in self._homes:
            if request.path == base or request.path.startswith(f"{base}/"):
                path = names.resolved(request.path[len(base) :]).strip("/")
                return Asked(self._nextcloud, request, base, path)
        raise RefusedError(404, f"File not found: {request.path}")

    def _check_conditions(self, asked: Asked) -> None:
        def look(uri: str) -> Node | None:
            path = names.destination_path(uri)
            inside = path.startswith(f"{asked.base}/")
            return self._nextcloud.tree.look(path[len(asked.base) + 1 :]) if inside else None

        conditions.check(asked.request.headers, self._nextcloud.tree.look(asked.path), look)


def _paths(request: Request) -> tuple[str, ...]:
    destination = request.headers.get("Destination")
    return (request.path, names.destination_path(destination)) if destination else (request.path,)


def _trouble(struck: list[Rule]) -> Answer | None:
    """Be slow if a rule says so, and return what another one answers instead of the server."""
    for rule in struck:
        if rule.kind == "delay":
            time.sleep(rule.seconds)
    return next((rule.answer() for rule in struck if rule.kind in ("status", "html")), None)
