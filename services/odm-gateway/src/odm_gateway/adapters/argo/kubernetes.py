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
from lightkube.core.exceptions import ConfigError

from shared.errors import ConflictError, NotFoundError, PermanentError, TransientError
from shared.retry_after import read_retry_after

Manifest = dict[str, Any]

REQUESTS_AT_ONCE = 8
"""Watches aside: API servers queue and refuse what comes faster, and every call looks at all connections."""
SILENCE_S = 15.0
"""How much longer than it was asked to last a watch may be silent: then its connection is dead."""
TRIES_IF_BUSY = 4
WAIT_AT_MOST_S = 10.0
"""A server that says when to come again is obeyed in place up to so long; otherwise its caller decides."""
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


class QuotaError(TransientError):
    """The namespace has as much as it may have; some of it may go."""


class ForbiddenError(PermanentError):
    """The cluster does not let us."""


_KINDS: Mapping[int, type[Exception]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ChangedError,
    HTTPStatus.GONE: GoneError,
}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_SAYS_WHEN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


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

    Every method raises ``TransientError`` where the cluster cannot be reached, has too much to do or does not
    know us, and ``ForbiddenError`` where it does not let us.
    """

    http: httpx2.AsyncClient
    namespace: str
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REQUESTS_AT_ONCE))

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Make an object.

        Raises:
            AlreadyExistsError: There is one of that name.
            QuotaError: There are as many, or as large ones, as there may be.
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
        with _translated("list", resource):
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
                    raise _refusal(
                        "watch", resource, response.status_code, _status(response), _said_when(response)
                    )
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
            for tries_left in reversed(range(TRIES_IF_BUSY)):
                with _translated(verb, resource):
                    response = await self.http.request(
                        method, path, params=params, headers=headers, content=content
                    )
                    if not response.is_error:
                        return dict(response.json())
                wait_s = _said_when(response)
                if wait_s is None or wait_s > WAIT_AT_MOST_S or not tries_left:
                    break
                await asyncio.sleep(wait_s)
        raise _refusal(verb, resource, response.status_code, _status(response), wait_s)

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
    except (ConfigError, OSError) as error:  # what an exec plugin said may hold a secret
        said = str(error).partition(": ")[0]
        raise TransientError(f"The credentials for the Kubernetes API cannot be had: {said}") from error
    except (LookupError, TypeError, ValueError) as error:
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


def _said_when(response: httpx2.Response) -> float | None:
    """Return after how many seconds a server that is too busy wants to be asked again, if it says so."""
    told = read_retry_after(response.headers.get("Retry-After"))
    return told.total_seconds() if told is not None and response.status_code in _SAYS_WHEN else None


def _refusal(
    verb: str, resource: Resource, code: int, status: Manifest, wait_s: float | None = None
) -> Exception:
    said = f"{verb} {resource.plural}: {status.get('message') or code}"
    if code == HTTPStatus.CONFLICT and status.get("reason") == "AlreadyExists":
        return AlreadyExistsError(said)
    if kind := _KINDS.get(code):
        return kind(said)
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return _not_let_in(code, said)
    if code in _BUSY or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        retry_after = None if wait_s is None else timedelta(seconds=wait_s)
        return TransientError(f"The Kubernetes API is in trouble ({said})", retry_after=retry_after)
    return PermanentError(f"The cluster refused to {said}")


def _not_let_in(code: int, said: str) -> Exception:
    if code == HTTPStatus.UNAUTHORIZED:  # tokens expire and are renewed
        return TransientError(f"The cluster does not know the gateway ({said})")
    if "exceeded quota" in said:
        return QuotaError(f"The quota is used up ({said})")
    return ForbiddenError(f"The cluster does not let the gateway {said} ({code})")


def _event(resource: Resource, line: str) -> WatchEvent:
    told = json.loads(line)
    if told["type"] == "ERROR":
        status = told["object"]
        raise _refusal("watch", resource, int(status.get("code") or 500), status)
    return WatchEvent(told["type"], told["object"])
