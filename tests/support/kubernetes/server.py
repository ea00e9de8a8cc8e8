"""The HTTP side of the API: verbs, pages, watches, refusals, and whatever may go wrong on the way."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from aiohttp import web

from tests.support.kubernetes.status import Json, RefusedError
from tests.support.kubernetes.storage import Selector, Storage

ROOTS = {
    "workflows": ("apis/argoproj.io/v1alpha1", "argoproj.io/v1alpha1", "Workflow"),
    "persistentvolumeclaims": ("api/v1", "v1", "PersistentVolumeClaim"),
    "workflowtemplates": ("apis/argoproj.io/v1alpha1", "argoproj.io/v1alpha1", "WorkflowTemplate"),
    "pods": ("api/v1", "v1", "Pod"),
}
BOOKMARK_EVERY_S = 0.5
LONGEST_BODY_BYTES = 3 << 20

REVIEWS = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass
class Faults:
    """What goes wrong; everything is in order at first."""

    latency_s: float = 0.0
    holds_back: Callable[[], bool] = lambda: False
    """Whether what was read is still on its way; it may be old news when it arrives."""
    refuse_next: list[int] = field(default_factory=list)
    """Codes that the next requests are answered with."""
    retry_after_s: int | None = None
    """What those answers say about when to come again."""
    quota: dict[str, int] = field(default_factory=dict)
    """How many objects of a kind there may be."""
    lose_answers: int = 0
    """So many of the next writes happen, but the connection breaks before the answer."""
    is_down: bool = False
    """Connections are broken at once."""
    is_silent: bool = False
    """Watches stay open and say nothing any more, not even a bookmark: the other end is gone."""
    loses_events: bool = False
    """Watches do not tell of what happens now."""
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Verbs and resources that the role does not allow."""


@dataclass
class ApiServer:
    """An API server of one namespace."""

    storage: Storage = field(default_factory=Storage)
    faults: Faults = field(default_factory=Faults)
    namespace: str = "photogrammetry"
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each verb was asked of each resource."""
    url: str = ""
    _watches: dict[int, web.Request] = field(default_factory=dict)
    _gone: set[int] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen on a free port inside the block."""
        app = web.Application(client_max_size=LONGEST_BODY_BYTES)
        for root in {root for root, _, _ in ROOTS.values()}:
            base = f"/{root}/namespaces/{{namespace}}/{{plural}}"
            app.router.add_route("*", base, self._collection)
            app.router.add_route("*", f"{base}/{{name}}", self._single)
            app.router.add_get(f"{base}/{{name}}/log", self._log)
        app.router.add_post(f"/{REVIEWS}", self._review)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    def kubeconfig(self, context: str) -> Json:
        """Return a kubeconfig."""
        return {
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.url}}],
            "users": [{"name": context, "user": {"token": self.token}}],
            "contexts": [
                {
                    "name": context,
                    "context": {"cluster": context, "user": context, "namespace": self.namespace},
                },
            ],
        }  # fmt: skip

    @property
    def is_watched(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._watches)

    def cut_watches(self) -> None:
        """Break the connection of every watch."""
        for request in list(self._watches.values()):
            _abort(request)

    async def end_watches(self) -> None:
        """Break the connection of every watch, and return once they are over."""
        cut = set(self._watches)
        self.cut_watches()
        while cut & self._watches.keys():  # a client in a hurry has begun others meanwhile
            await asyncio.sleep(0.01)

    def end_watches_as_gone(self) -> None:
        """Tell every watch that its version is too old."""
        self._gone |= self._watches.keys()

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        watching = request.query.get("watch") in {"1", "true"}
        verb = {"GET": "watch" if watching else "list", "POST": "create"}.get(request.method)
        try:
            await self._let_in(request, verb, plural)
            selector = Selector.parse(request.query.get("labelSelector", ""))
            if verb == "watch":
                return await self._watch(request, plural, selector)
            if verb == "list":
                return web.json_response(self._list(request, plural, selector))
            body = await self._body(request, plural)
            self._check_quota(plural, body["metadata"].get("name", ""))
            if request.query.get("dryRun") == "All":
                return web.json_response(self.storage.dry_run(plural, body), status=201)
            return await self._answer(request, self.storage.create(plural, body), code=201)
        except RefusedError as refused:
            return self._refused(refused)

    def _refused(self, refused: RefusedError) -> web.Response:
        is_busy = refused.code in {429, 503} and self.faults.retry_after_s is not None
        headers = {"Retry-After": str(self.faults.retry_after_s)} if is_busy else {}
        return web.json_response(refused.status, status=refused.code, headers=headers)

    def _check_quota(self, plural: str, name: str) -> None:
        there = sum(kind == plural for kind, _ in self.storage.objects)
        if there >= self.faults.quota.get(plural, there + 1):
            raise RefusedError(
                403,
                "Forbidden",
                f'{plural} "{name}" is forbidden: exceeded quota: jobs, requested: count/{plural}=1,'
                f" used: count/{plural}={there}, limited: count/{plural}={there}",
            )

    async def _single(self, request: web.Request) -> web.StreamResponse:
        plural, name = request.match_info["plural"], request.match_info["name"]
        verb = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method)
        try:
            await self._let_in(request, verb, plural)
            if verb == "get":
                found = web.json_response(self.storage.get(plural, name))
                while self.faults.holds_back():
                    await self.storage.changed(0.05)
                return found
            if verb == "delete":
                await request.read()
                return await self._answer(request, self.storage.delete(plural, name))
            body = await request.json()
            if verb == "update":
                return await self._answer(request, self.storage.replace(plural, body))
            return await self._answer(request, self._patched(request, plural, name, body))
        except RefusedError as refused:
            return self._refused(refused)

    def _patched(self, request: web.Request, plural: str, name: str, body: Json) -> Json:
        if request.content_type != "application/merge-patch+json":
            raise RefusedError(415, "UnsupportedMediaType", "only merge patches are simulated")
        return self.storage.merge(plural, name, body)

    async def _log(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._let_in(request, "get", "pods/log")
            name = request.match_info["name"]
            self.storage.get("pods", name)
            return web.Response(text=self.storage.logs.get(name, ""))
        except RefusedError as refused:
            return web.json_response(refused.status, status=refused.code)

    async def _review(self, request: web.Request) -> web.Response:
        """Say what the caller may do, which everybody may ask."""
        if self.faults.is_down:
            _cut(request)
        review: Json = await request.json()
        wanted = review["spec"]["resourceAttributes"]
        is_known = request.headers.get("Authorization") == f"Bearer {self.token}"
        allowed = wanted["namespace"] == self.namespace and (
            (wanted["verb"], wanted["resource"]) not in self.faults.forbidden
        )
        review["status"] = {"allowed": allowed}
        return web.json_response(review, status=201 if is_known else 401)

    async def _let_in(self, request: web.Request, verb: str | None, plural: str) -> None:
        if self.faults.is_down:
            _cut(request)
        await asyncio.sleep(self.faults.latency_s)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        if verb is None or (plural not in ROOTS and plural != "pods/log"):
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        self.calls[verb, plural] += 1
        if self.faults.refuse_next:
            code = self.faults.refuse_next.pop(0)
            raise RefusedError(code, "InternalError" if code == 500 else "", f"simulated trouble {code}")
        namespace = request.match_info["namespace"]
        if (verb, plural) in self.faults.forbidden or namespace != self.namespace:
            raise RefusedError(
                403, "Forbidden", f'{plural} is forbidden: User "gateway" cannot {verb} in "{namespace}"'
            )

    async def _body(self, request: web.Request, plural: str) -> Json:
        body: Json = await request.json()
        _, version, kind = ROOTS[plural]
        if (body.get("apiVersion"), body.get("kind")) != (version, kind):
            raise RefusedError(400, "BadRequest", f"the object provided is no {version} {kind}")
        if body.get("metadata", {}).setdefault("namespace", self.namespace) != self.namespace:
            raise RefusedError(400, "BadRequest", "the namespace of the object does not match the request's")
        return body

    async def _answer(self, request: web.Request, obj: Json, code: int = 200) -> web.Response:
        if self.faults.lose_answers:
            self.faults.lose_answers -= 1
            _cut(request)
        return web.json_response(obj, status=code)

    def _list(self, request: web.Request, plural: str, selector: Selector) -> Json:
        limit = int(request.query.get("limit") or 0)
        version, items, more, left = self.storage.page(
            plural, selector, limit, request.query.get("continue", "")
        )
        metadata = {"resourceVersion": str(version)}
        if more:
            metadata |= {"continue": more, "remainingItemCount": left}  # type: ignore[dict-item]
        if "as=PartialObjectMetadataList" in request.headers.get("Accept", ""):
            kind, api = "PartialObjectMetadataList", "meta.k8s.io/v1"
            items = [_metadata_only(item) for item in items]
        else:
            _, api, single = ROOTS[plural]
            kind = f"{single}List"
        return {"kind": kind, "apiVersion": api, "metadata": metadata, "items": items}

    async def _watch(self, request: web.Request, plural: str, selector: Selector) -> web.StreamResponse:
        asked = request.query.get("resourceVersion") or "0"
        ends_at_s = time.monotonic() + float(request.query.get("timeoutSeconds") or 1800)
        version = int(asked)
        if version:
            next(iter(self.storage.since(plural, version)), None)  # refuses what is too old
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._watches[id(request)] = request
        try:
            if not version:
                version = self.storage.version
                for obj in self.storage.selected(plural, selector):
                    await self._tell(request, response, "ADDED", obj)
            await self._tell_on(request, response, plural, selector, version, ends_at_s)
        except ConnectionResetError:
            pass
        finally:
            self._watches.pop(id(request), None)
            self._gone.discard(id(request))
        return response

    async def _tell_on(
        self, request: web.Request, response: web.StreamResponse, plural: str, selector: Selector,
        version: int, ends_at_s: float,
    ) -> None:  # fmt: skip
        bookmark_at_s = time.monotonic() + BOOKMARK_EVERY_S
        wants_bookmarks = request.query.get("allowWatchBookmarks") == "true"
        while True:
            if id(request) in self._gone:
                refused = RefusedError(410, "Expired", "too old resource version")
                await self._send(response, {"type": "ERROR", "object": refused.status})
                return
            for change in list(self.storage.since(plural, max(version, self.storage.oldest))):
                version = change.version
                if (event := change.event(selector)) and not self.faults.loses_events:
                    await self._tell(request, response, *event)
            version = max(version, self.storage.version)
            now_s = time.monotonic()
            if wants_bookmarks and (now_s >= bookmark_at_s or now_s >= ends_at_s):
                bookmark_at_s = now_s + BOOKMARK_EVERY_S
                await self._tell(request, response, "BOOKMARK", _bookmark(plural, version))
            if now_s >= ends_at_s:
                return
            await self.storage.changed(min(0.2, ends_at_s - now_s))

    async def _tell(self, request: web.Request, response: web.StreamResponse, kind: str, obj: Json) -> None:
        while self.faults.is_silent:
            await self.storage.changed(0.05)
        if "as=PartialObjectMetadata" in request.headers.get("Accept", "") and kind != "BOOKMARK":
            obj = _metadata_only(obj)
        await self._send(response, {"type": kind, "object": obj})

    async def _send(self, response: web.StreamResponse, event: Json) -> None:
        await response.write(json.dumps(event).encode() + b"\n")


def _metadata_only(obj: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _bookmark(plural: str, version: int) -> Json:
    _, api, kind = ROOTS[plural]
    return {"kind": kind, "apiVersion": api, "metadata": {"resourceVersion": str(version)}}


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _cut(request: web.Request) -> NoReturn:
    _abort(request)
    raise ConnectionResetError
