"""What workflows there are in a cluster and how far they are, kept by listing and watching."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from prometheus_client import Counter, Gauge

from odm_gateway.adapters.argo.kubernetes import WORKFLOWS, GoneError, Kubernetes, Manifest, WatchEvent
from odm_gateway.adapters.argo.submission import SUBMODEL_LABEL
from shared.errors import PermanentError, TransientError

COMPLETED_LABEL = "workflows.argoproj.io/completed"

WATCH_RESTARTS = Counter(
    "flightline_odm_watch_restarts", "Watches of workflows that began, by why.", ["cluster", "reason"]
)
WATCH_LAG_SECONDS = Gauge(
    "flightline_odm_watch_lag_seconds", "Time since a cluster was last heard of.", ["cluster"]
)
WINDOW = Gauge(
    "flightline_odm_window_workflows", "Workflows that may be open together in a cluster.", ["cluster"]
)
OPEN_WORKFLOWS = Gauge("flightline_odm_open_workflows", "Workflows that have not ended.", ["cluster"])

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take; tests are in more of a hurry."""

    page: int = 500
    watch: tuple[timedelta, timedelta] = (timedelta(seconds=240), timedelta(seconds=300))
    """Least and most: not all replicas shall begin anew together."""
    resync: timedelta = timedelta(minutes=10)
    backoff_at_most: timedelta = timedelta(seconds=30)
    fresh: timedelta = timedelta(minutes=6)
    """A cluster that was silent for longer, bookmarks included, counts as out of reach; so does one that did
    not answer the last time."""
    full: timedelta = timedelta(minutes=1)
    """A cluster that refused a job for its quota is left alone for so long."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of a workflow."""

    version: str
    is_open: bool
    is_submodel: bool = False


@dataclass(slots=True)
class Reflector:
    """Our workflows in one cluster, as far as a watch can know them."""

    kubernetes: Kubernetes
    cluster: str
    selector: str
    pace: Pace = field(default_factory=Pace)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _expected: dict[str, bool] = field(default_factory=dict)
    """Whether each is a submodel."""
    _tried: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    _version: str = ""
    _heard_at_s: float | None = None
    trouble: str | None = None
    """Why the cluster could not be heard of the last time; None: it could."""

    @property
    def is_fresh(self) -> bool:
        """Return whether the cluster was heard of lately, and nothing went wrong since."""
        return (
            self.trouble is None
            and self._heard_at_s is not None
            and time.monotonic() - self._heard_at_s < self.pace.fresh.total_seconds()
        )

    @property
    def open_count(self) -> int:
        """Return how many workflows have not ended, as far as is known."""
        return self.count_open(is_submodel=False) + self.count_open(is_submodel=True)

    def count_open(self, *, is_submodel: bool) -> int:
        """Return how many workflows of whole tasks, or of their parts, have not ended, whoever made them."""
        seen = sum(seen.is_open and seen.is_submodel is is_submodel for seen in self._seen.values())
        return seen + sum(is_part is is_submodel for is_part in self._expected.values())

    def is_open(self, name: str) -> bool:
        """Return whether there is a workflow of this name that has not ended, as far as is known."""
        seen = self._seen.get(name)
        return seen is not None and seen.is_open

    async def tried(self) -> None:
        """Return once the cluster was asked, with or without success."""
        await self._tried.wait()

    def expect(self, name: str, *, is_submodel: bool = False) -> None:
        """Count a workflow that is about to be made, until it is heard of."""
        if name not in self._seen:
            self._expected[name] = is_submodel

    def expect_no_longer(self, name: str) -> None:
        """Do not count a workflow that could not be made."""
        self._expected.pop(name, None)

    @contextmanager
    def changes(self, name: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever the workflow of this name changes, or comes, or goes."""
        changed = asyncio.Event()
        self._waiting.setdefault(name, set()).add(changed)
        try:
            yield changed
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]

    async def run(self) -> None:
        """List and watch, for ever."""
        WATCH_LAG_SECONDS.labels(self.cluster).set_function(self._lag_s)
        OPEN_WORKFLOWS.labels(self.cluster).set_function(lambda: self.open_count)
        reason, failures = "start", 0
        while True:
            WATCH_RESTARTS.labels(self.cluster, reason).inc()
            try:
                await self._list_and_watch()
                reason, failures = "resync", 0
            except (TransientError, PermanentError) as error:
                reason = "gone" if isinstance(error, GoneError) else "error"
                log.warning("watch.restarted", cluster=self.cluster, error=str(error))
                failures = 0 if isinstance(error, GoneError) and self.is_fresh else failures + 1
                if not isinstance(error, GoneError):
                    self.trouble = str(error)
                self._tried.set()
                await self._back_off(max(1, failures), error)

    async def _list_and_watch(self) -> None:
        await self._list()
        resync_at_s = time.monotonic() + self.pace.resync.total_seconds()
        failures = 0
        while (left_s := resync_at_s - time.monotonic()) > 0:
            began_s, trouble = time.monotonic(), None
            try:
                if failures:
                    await self._look()
                await self._watch(left_s)
                failures = 0 if time.monotonic() - began_s > 1 else failures + 1
            except GoneError:
                raise
            except TransientError as error:
                failures, trouble = failures + 1, error
                self.trouble = str(error)
                log.info("watch.interrupted", cluster=self.cluster, error=str(error))
            if failures:
                WATCH_RESTARTS.labels(self.cluster, "interrupted").inc()
                await self._back_off(failures, trouble)

    async def _look(self) -> None:
        """See whether the cluster answers again: a watch may have nothing to tell for a long time."""
        await self.kubernetes.page(WORKFLOWS, selector=self.selector, limit=1)
        self._hear()

    async def _list(self) -> None:
        """Take note of all workflows, and of those that went away unheard."""
        found: dict[str, Seen] = {}
        after = None
        while True:
            page = await self.kubernetes.page(
                WORKFLOWS, selector=self.selector, limit=self.pace.page, after=after
            )
            found.update((item["metadata"]["name"], _seen(item)) for item in page.items)
            after = page.next
            if after is None:
                break
        before, self._seen, self._version = self._seen, found, page.version
        self._expected.clear()
        self._hear()
        self._tried.set()
        for name in before.keys() | found.keys():
            if before.get(name) != found.get(name):
                self._tell(name)

    async def _watch(self, left_s: float) -> None:
        """Take note of what changes from where the last watch, or the list, ended."""
        least, most = self.pace.watch
        last_s = min(left_s, random.uniform(least.total_seconds(), most.total_seconds()))  # noqa: S311
        last = timedelta(seconds=max(1, last_s))
        events = self.kubernetes.watch(WORKFLOWS, selector=self.selector, version=self._version, last=last)
        async with aclosing(events):
            async for event in events:
                self._note(event)

    def _note(self, event: WatchEvent) -> None:
        if event.kind != "BOOKMARK":
            name = event.object["metadata"]["name"]
            self._expected.pop(name, None)
            if event.kind == "DELETED":
                self._seen.pop(name, None)
            else:
                self._seen[name] = _seen(event.object)
            self._tell(name)
        self._version = event.version
        self._hear()

    def _hear(self) -> None:
        self._heard_at_s, self.trouble = time.monotonic(), None

    def _tell(self, name: str) -> None:
        for changed in self._waiting.get(name, ()):
            changed.set()

    def _lag_s(self) -> float:
        return float("inf") if self._heard_at_s is None else time.monotonic() - self._heard_at_s

    async def _back_off(self, failures: int, error: Exception | None) -> None:
        """Wait, and at least for as long as the server wants us to."""
        most_s = min(self.pace.backoff_at_most.total_seconds(), 0.5 * 2 ** min(failures, 10))
        asked = error.retry_after if isinstance(error, TransientError) else None
        least_s = asked.total_seconds() if asked else 0.0
        await asyncio.sleep(least_s + random.uniform(0, most_s))  # noqa: S311 - it spreads load


def _seen(workflow: Manifest) -> Seen:
    about = workflow["metadata"]
    labels: Mapping[str, str] = about.get("labels") or {}
    return Seen(
        about["resourceVersion"],
        is_open=labels.get(COMPLETED_LABEL) != "true",
        is_submodel=SUBMODEL_LABEL in labels,
    )
