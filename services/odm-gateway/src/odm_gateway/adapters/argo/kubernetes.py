"""The few calls of the Kubernetes API that we make, over an HTTP client that knows the cluster and us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx2

from shared.errors import ConflictError, NotFoundError, PermanentError, TransientError

Manifest = dict[str, Any]

REQUESTS_AT_ONCE = 32
"""Watches aside: API servers queue and refuse what comes faster."""
SILENCE_S = 15.0
"""How much longer than it was asked to last a watch may be silent: then its connection is dead."""
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object with a namespace."""

    root: str
    plural: str
    api_version: str
    kind: str


WORKFLOWS = Resource("apis/argoproj.io/v1alpha1", "workflows", "argoproj.io/v1alpha1", "Workflow")
CLAIMS = Resource("api/v1", "persistentvolumeclaims", "v1", "PersistentVolumeClaim")

PERMISSIONS: Mapping[Resource, frozenset[str]] = {
    WORKFLOWS: frozenset({"create", "get", "list", "watch", "patch", "delete"}),
    CLAIMS: frozenset({"create", "get", "delete"}),
}
"""What the gateway's role must allow."""


class AlreadyExistsError(ConflictError):
    """There is an object of this name."""


class GoneError(TransientError):
    """The server has forgotten the version that was asked for: list anew."""


class ChangedError(TransientError):
    """Somebody else changed the object since it was read."""


class ForbiddenError(PermanentError):
    """The cluster does not let us."""


_KINDS: Mapping[int, type[Exception]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ChangedError,
    HTTPStatus.GONE: GoneError,
}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list."""

    items: tuple[Manifest, ...]
    version: str
    next: str | None
    """Asks for the following page; None: this is the last one."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change, or a bookmark: an object without anything but its version."""

    kind: str
    object: Manifest

    @property
    def version(self) -> str:
        """Return the version to go on from."""
        return str(self.object["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Kubernetes:
    """One namespace of one cluster.

    Every method raises ``TransientError`` where the cluster cannot be reached or has too much to do, and
    ``ForbiddenError`` where it does not let us.
    """

    http: httpx2.AsyncClient
    namespace: str
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REQUESTS_AT_ONCE))

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Make an object.

        Raises:
            AlreadyExistsError: There is one of that name.
            PermanentError: The manifest was refused.
        """
        return await self._call("create", resource, "POST", self._path(resource), body=manifest)

    async def get(self, resource: Resource, name: str) -> Manifest | None:
        """Return an object as it is now, or None where there is none."""
        try:
            return await self._call("get", resource, "GET", self._path(resource, name))
        except NotFoundError:
            return None

    async def merge(self, resource: Resource, name: str, patch: Manifest) -> Manifest | None:
        """Change fields of an object by a merge patch; None: there is no such object.

        Raises:
            PermanentError: The patch was refused.
        """
        kind = "application/merge-patch+json"
        try:
            return await self._call(
                "patch", resource, "PATCH", self._path(resource, name), body=patch, kind=kind
            )
        except NotFoundError:
            return None

    async def delete(self, resource: Resource, name: str) -> None:
        """Delete an object and what it owns; there being none is no error."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            await self._call("delete", resource, "DELETE", self._path(resource, name), body=body)
        except NotFoundError:
            return

    async def page(
        self, resource: Resource, *, selector: str, limit: int = 500, after: str | None = None
    ) -> Page:
        """Return some objects, of which no more than the metadata are promised.

        Args:
            resource: Their kind.
            selector: Labels that they have.
            limit: How many at most.
            after: ``next`` of the page before.

        Raises:
            GoneError: The list is too old to go on with: begin again.
        """
        asked = {"labelSelector": selector, "limit": str(limit), **({"continue": after} if after else {})}
        answer = await self._call(
            "list", resource, "GET", self._path(resource), params=asked, accept=_METADATA_LIST
        )
        about = answer["metadata"]
        return Page(tuple(answer["items"]), about["resourceVersion"], about.get("continue") or None)

    async def watch(
        self, resource: Resource, *, selector: str, version: str, last: timedelta
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what changes behind ``version``, metadata at least, until the server ends it after ``last``.

        Raises:
            GoneError: ``version`` is too old: list anew.
        """
        asked = {
            "watch": "true", "allowWatchBookmarks": "true", "labelSelector": selector,
            "resourceVersion": version, "timeoutSeconds": str(round(last.total_seconds())),
        }  # fmt: skip
        with _translated("watch", resource):
            async with self.http.stream(
                "GET",
                self._path(resource),
                params=asked,
                headers={"Accept": _METADATA},
                timeout=httpx2.Timeout(10, read=last.total_seconds() + SILENCE_S),
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _refusal("watch", resource, response.status_code, _status(response))
                async for line in response.aiter_lines():
                    if line:
                        yield _event(resource, line)

    async def _call(
        self, verb: str, resource: Resource, method: str, path: str, *, body: Manifest | None = None,
        params: Mapping[str, str] | None = None, kind: str = "application/json",
        accept: str = "application/json",
    ) -> Manifest:  # fmt: skip
        headers = {"Accept": accept, **({"Content-Type": kind} if body is not None else {})}
        content = None if body is None else json.dumps(body).encode()
        async with self._slots:
            with _translated(verb, resource):
                response = await self.http.request(
                    method, path, params=params, headers=headers, content=content
                )
                if response.is_error:
                    raise _refusal(verb, resource, response.status_code, _status(response))
                answer: Manifest = response.json()
                return answer

    def _path(self, resource: Resource, name: str = "") -> str:
        path = f"{resource.root}/namespaces/{self.namespace}/{resource.plural}"
        return f"{path}/{name}" if name else path


@contextmanager
def _translated(verb: str, resource: Resource) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:  # its text may hold the address, which is no secret
        raise TransientError(
            f"The Kubernetes API cannot be reached ({verb} {resource.plural}: {type(error).__name__} {error})"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TransientError(
            f"The Kubernetes API gave a broken answer to {verb} {resource.plural}"
        ) from error


def _status(response: httpx2.Response) -> Manifest:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return {"message": response.text[:500]}


def _refusal(verb: str, resource: Resource, code: int, status: Manifest) -> Exception:
    said = f"{verb} {resource.plural}: {status.get('message') or code}"
    if code == HTTPStatus.CONFLICT and status.get("reason") == "AlreadyExists":
        return AlreadyExistsError(said)
    if kind := _KINDS.get(code):
        return kind(said)
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ForbiddenError(f"The cluster does not let the gateway {said} ({code})")
    if code in _BUSY or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(f"The Kubernetes API is in trouble ({said})")
    return PermanentError(f"The cluster refused to {said}")


def _event(resource: Resource, line: str) -> WatchEvent:
    told = json.loads(line)
    if told["type"] == "ERROR":
        status = told["object"]
        raise _refusal("watch", resource, int(status.get("code") or 500), status)
    return WatchEvent(told["type"], told["object"])
