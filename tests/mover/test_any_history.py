"""Whatever users, servers and two movers do, in whatever order: no content is lost, and tags end up right."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightline.nextcloud_simulator import Nextcloud
from flightline.nextcloud_simulator.faults import Rule
from mover.domain.deciding import Go, Rules, decide
from mover.domain.moves import MoveState
from shared.errors import TransientError
from tests.mover.conftest import ROOT, UNSORTED, Sorting, opened
from tests.support.dav_servers.running import RunningDav
from tests.support.dav_servers.start import running_dav

NAMES = ("a.jpg", "A.jpg", "a (2).jpg")
TAGS = (
    ("ai:cats",),
    ("ai:Cats", "holiday"),
    ("ai:cats", "ai:Cats"),
    ("ai:dogs",),
    ("ai:cats", "ai:dogs"),
    ("ai:..",),
    ("holiday",),
)
"""Of one picture; few, so that names are often taken."""
RULES = Rules("ai", ROOT, UNSORTED)

names, contents = st.sampled_from(NAMES), st.integers(0, 4).map(lambda number: b"picture %d" % number)
faults = st.builds(
    Rule,
    kind=st.sampled_from(["status", "late-status", "html"]),
    method=st.sampled_from(["MOVE", "DELETE", "PROPFIND", "MKCOL", "PATCH", "REPORT"]),
    status=st.sampled_from([423, 429, 500, 503, 507]),
    times=st.integers(1, 3),
    after=st.integers(0, 2),
)


@dataclass(frozen=True)
class Put:
    """Somebody puts a picture among the unsorted ones, or over one that is there."""

    name: str
    content: bytes
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Remove:
    """Somebody removes a picture, sorted or not."""

    turn: int


@dataclass(frozen=True)
class Break:
    """Something goes wrong from now on."""

    rule: Rule


@dataclass(frozen=True)
class Run:
    """One mover runs, or another that knows nothing of the first, or both at once."""

    movers: tuple[int, ...]
    looks_everywhere: bool


Step = Put | Remove | Break | Run
steps = st.one_of(
    st.builds(Put, names, contents, st.sampled_from(TAGS)),
    st.builds(Put, names, contents, st.just(("ai:cats",))),
    st.builds(Remove, st.integers(0, 20)),
    st.builds(Break, faults),
    st.builds(Run, st.sampled_from([(0,), (1,), (0, 1)]), st.booleans()),
)
histories = st.lists(steps, min_size=8, max_size=24)

quickly = settings(
    max_examples=2, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
thoroughly = settings(quickly, max_examples=200, derandomize=False)


@dataclass
class World:
    """A Nextcloud, two movers, and what must be there."""

    cloud: RunningDav
    simulator: Nextcloud
    movers: tuple[Sorting, Sorting]
    wanted: set[bytes] = field(default_factory=set)
    """Contents of which one copy at least must lie somewhere."""

    def lying(self) -> dict[str, bytes]:
        """Return all files."""
        paths = (path for path in self.cloud.folder.rglob("*.jpg") if path.is_file())
        return {str(path.relative_to(self.cloud.folder)): path.read_bytes() for path in sorted(paths)}

    async def make(self, step: Step) -> None:
        """Let something happen."""
        match step:
            case Put(name, content, tags):
                path = f"{UNSORTED}/{name}"
                self._without(path)
                self.cloud.stored.put(path, content)
                self.cloud.stored.tag(path, *tags)
                self.wanted.add(content)
            case Remove(turn):
                if lying := sorted(self.lying()):
                    path = lying[turn % len(lying)]
                    self._without(path)
                    self.cloud.stored.remove(path)
            case Break(rule):
                self.simulator.faults.add(rule)
            case Run(movers, looks_everywhere):
                await self.run(*movers, looks_everywhere=looks_everywhere)

    async def run(self, *movers: int, looks_everywhere: bool) -> None:
        """Let movers run, and see when all are done that nothing is lost."""
        await asyncio.gather(*(self._run(mover, looks_everywhere) for mover in movers))
        lost = self.wanted - set(self.lying().values())
        assert lost == set(), f"{lost} lost of {sorted(self.lying())}"

    def check_end(self) -> None:
        """See, when all is well again, that what can be sorted is sorted, and without its tag."""
        for path in self.lying():
            tags = self.simulator.visible_tags(self.simulator.tree.existing(path))
            decision = decide([TagView(tag.id, tag.name) for tag in tags], RULES)
            if path.startswith(f"{UNSORTED}/"):
                assert not isinstance(decision, Go), f"{path} {tags} is not sorted"
            elif isinstance(decision, Go):
                folder = path.rpartition("/")[0].rpartition("/")[2]
                assert folder.lower() != decision.category.lower(), f"{path} {tags} has a stale tag"

    async def _run(self, mover: int, looks_everywhere: bool) -> None:
        sorting = self.movers[mover]
        with suppress(TransientError):
            if looks_everywhere and await sorting.runs.due_in_s():
                await sorting.forget_repair()
            await sorting.run()

    def _without(self, path: str) -> None:
        lying = self.lying()
        content = lying.pop(path, None)
        if content is not None and content not in lying.values():
            self.wanted.discard(content)


@dataclass(frozen=True)
class TagView:
    """A tag that may be taken off."""

    id: int
    name: str
    can_assign: bool = True


async def lived(history: list[Step]) -> None:
    """Let a history happen, and two runs more without faults."""
    with running_dav("nextcloud") as cloud, tempfile.TemporaryDirectory() as home:
        assert cloud.simulator is not None
        cloud.stored.put(f"{UNSORTED}/.keep", b"")
        (cloud.folder / ROOT).mkdir(parents=True)
        never = {"repair_every": timedelta(hours=1)}
        async with (
            opened(cloud, Path(home) / "0", settings=never) as one,
            opened(cloud, Path(home) / "1", settings=never) as other,
        ):
            world = World(cloud, cloud.simulator, (one, other))
            for step in history:
                await world.make(step)
            cloud.simulator.faults.clear()
            for _ in range(2):
                await world.run(0, looks_everywhere=True)
                await world.run(1, looks_everywhere=True)
            world.check_end()
            assert await one.lines(MoveState.MOVING) == await other.lines(MoveState.MOVING) == []


@given(histories)
@quickly
def test_any_history_loses_nothing(history: list[Step]) -> None:
    asyncio.run(lived(history))


@pytest.mark.long
@pytest.mark.timeout(3600)
@given(histories)
@thoroughly
def test_many_histories_lose_nothing(history: list[Step]) -> None:
    asyncio.run(lived(history))
