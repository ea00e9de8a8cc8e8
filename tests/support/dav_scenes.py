"""Scaler and mover as processes against a WebDAV server, and what must hold whenever one of them dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import simplejpeg

from scaler.domain.asks import Asks
from scaler.imaging import scale_image
from shared.dav import DavPlace, is_temporary
from tests.support.dav_proxy import DavProxy, dav_proxy
from tests.support.dav_servers import RunningDav, running_dav
from tests.support.zygote import Child, Zygote, zygote

RAW, UNSORTED, ROOT = "data/AI/_raw", "data/AI/_unsorted", "data/AI/organized"
LONG_AGO = "00000001"
"""When a temporary file was written, as its name tells: so that it need not be waited for."""
MODULES = ("scaler.main", "mover.main", "aiohttp", "uvloop", "shared.state.open", "shared.dav.client")
QUIET_WITHIN = 6
"""Runs after which all must be done; an error may cost one."""


@cache
def photo(seed: int, side: int = 32) -> bytes:
    """Return a small JPEG, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    pixels = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1))
    return bytes(simplejpeg.encode_jpeg(pixels, quality=90))


@cache
def scaled(original: bytes) -> bytes:
    """Return what the scaler makes of it."""
    return scale_image(original, Asks(), pixels_at_most=10**7).content


@dataclass
class Scene:
    """A server, a proxy before it, and the processes that work on it.

    Attributes:
        state: Where processes keep what they know; another folder is another machine.
    """

    server: RunningDav
    proxy: DavProxy
    zygote: Zygote
    state: Path
    children: list[Child] = field(default_factory=list)

    def start(
        self, service: str, *arguments: str, state: str = "a", more: Mapping[str, str] | None = None
    ) -> Child:
        """Start a process of a service, which sees the server through the proxy."""
        home = self.state / state
        home.mkdir(exist_ok=True)
        environment = _environment(self.server.at(self.proxy.url), home) | {**(more or {})}
        log = self.state / f"{service}-{state}.log"
        child = self.zygote.start(f"{service}.main:run", [service, *arguments], environment, log)
        self.children.append(child)
        return child

    def once(self, service: str, *, state: str = "a", more: Mapping[str, str] | None = None) -> int | None:
        """Let a service work once, to the end, and return the exit code; none if it was killed."""
        return self.start(service, "--once", "--frequency", "0.05s", state=state, more=more).wait()

    def killed_at(self, service: str, *, state: str = "a") -> bool:
        """Let a service work once, killed where the proxy's rules say so; return whether it was."""
        child = self.start(service, "--once", "--frequency", "0.05s", state=state)
        self.proxy.victim = child.strike
        code = child.wait()
        return self.proxy.killed.is_set() and code is None

    def until_quiet(self, service: str, *, state: str = "a") -> None:
        """Let a service work, undisturbed, until it says that all is done."""
        self.proxy.clear()
        codes = []
        for _ in range(QUIET_WITHIN):
            codes.append(self.once(service, state=state))
            if codes[-1] == 0:
                return
            time.sleep(0.2)
        raise AssertionError(f"{service} is not done: {codes} {self.told(service, state)}")

    def told(self, service: str, state: str = "a") -> str:
        """Return what the processes of a service wrote."""
        log = self.state / f"{service}-{state}.log"
        return log.read_text()[-4000:] if log.exists() else ""

    def wait_until_old(self) -> None:
        """Let all temporary files have been written long ago."""
        for path in self.server.folder.rglob("*"):
            if is_temporary(path.name):
                kind, _, unguessable = path.name.removeprefix(".flightline-").partition("-")
                path.rename(path.with_name(f".flightline-{kind}-{LONG_AGO}{unguessable[8:]}"))

    def lying(self, folder: str) -> dict[str, bytes]:
        """Return what lies in a folder, without temporary files."""
        simulator = self.server.simulator
        found: dict[str, bytes] = {}
        with simulator.tree.lock if simulator else contextlib.nullcontext():
            for name in self.server.stored.names():
                if name.startswith(f"{folder}/") and not is_temporary(name.rpartition("/")[2]):
                    with contextlib.suppress(FileNotFoundError):  # deleted just now
                        found[name[len(folder) + 1 :]] = self.server.stored.get(name)
        return found

    def temporary(self) -> set[str]:
        """Return the temporary files that lie anywhere."""
        return {name for name in self.server.stored.names() if is_temporary(name.rpartition("/")[2])}

    def end(self) -> None:
        """End all processes."""
        for child in self.children:
            child.close()


@contextmanager
def opened_scene(kind: str, parent: Zygote, state: Path) -> Iterator[Scene]:
    """Run a server, with a proxy before it, until the block ends."""
    state.mkdir(parents=True, exist_ok=True)
    with running_dav(kind) as server, dav_proxy(server.address) as proxy:
        scene = Scene(server, proxy, parent, state)
        try:
            yield scene
        finally:
            scene.end()


@contextmanager
def parent_of_services() -> Iterator[Zygote]:
    """Run the process that scalers and movers are forked from."""
    with zygote(*MODULES) as parent:
        yield parent


def _environment(place: DavPlace, home: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        "FLIGHTLINE_HOME": str(home),
        "FLIGHTLINE_LOG_FORMAT": "json",
        "FLIGHTLINE_WEBDAV_URL": place.url,
        "FLIGHTLINE_WEBDAV_HOST_URL": place.host_url or place.url,
        "FLIGHTLINE_WEBDAV_USERNAME": place.username,
        "FLIGHTLINE_WEBDAV_PASSWORD": place.password.get_secret_value(),
        "SCALER_PORT": "0",
        "SCALER_RAW_NAMES_PREFIXES": "Unknown",
        "SCALER_RAW_REMOTE_DIR": RAW,
        "SCALER_UNSORTED_REMOTE_DIR": UNSORTED,
        "SCALER_AT_REST": "0s",
        "SCALER_LEASE": "2s",
        "MOVER_PORT": "0",
        "MOVER_IMAGES_ROOT_DIR": ROOT,
        "MOVER_UNSORTED_REMOTE_DIR": UNSORTED,
        "MOVER_PARENT_TAG_VALUE": "ai",
        "MOVER_LEASE": "2s",
    }


# What must hold


def put_originals(scene: Scene, *seeds: int) -> dict[str, bytes]:
    """Put photos to be scaled where the scaler looks, written a while ago, and return them by name."""
    originals = {f"Unknown {seed} 50%.jpg": photo(seed) for seed in seeds}
    long_ago_s = time.time() - 3600
    for name, content in originals.items():
        scene.server.stored.put(f"{RAW}/{name}", content)
        if scene.server.disk is not None:
            os.utime(scene.server.disk / RAW / name, (long_ago_s, long_ago_s))
    return originals


def check_none_lost(scene: Scene, originals: Mapping[str, bytes]) -> None:
    """Check, at any moment: each photo lies there as it was, or what was made of it does."""
    raw, made = scene.lying(RAW), [*scene.lying(UNSORTED).values()]
    for name, content in originals.items():
        assert raw.get(name) == content or scaled(content) in made, f"{name} is lost"


def check_all_scaled(scene: Scene, originals: Mapping[str, bytes]) -> None:
    """Check, at the end: each photo was scaled once, none is there any more, and nothing else is."""
    made = scene.lying(UNSORTED)
    assert scene.lying(RAW) == {}
    assert sorted(map(digest, made.values())) == sorted(digest(scaled(one)) for one in originals.values())
    for name in originals:
        stem = name.removesuffix(".jpg")
        assert sum(stem in one for one in made) == 1, f"{name} in {sorted(made)}"
    assert scene.temporary() == set()


@dataclass(frozen=True)
class Sorting:
    """Files that are to be moved, and where they belong."""

    unsorted: dict[str, tuple[bytes, tuple[str, ...]]]
    """Content and tags by name."""
    sorted: dict[str, tuple[bytes, frozenset[str]]]
    """The same by path, at the end."""
    contents: list[bytes]
    """None of which may ever be missing."""

    def add(self, name: str, content: bytes, category: str) -> None:
        """Expect one more file in a category, without tags."""
        self.sorted[f"organized/{category}/{name}"] = (content, frozenset())
        self.contents.append(content)


def put_tagged(scene: Scene) -> Sorting:
    """Put files with tags where the mover looks: all that can become of one."""
    for path, content in (("organized/dogs/b.jpg", b"b"), ("organized/dogs/c.jpg", b"other c")):
        scene.server.stored.put(f"data/AI/{path}", content)
    unsorted: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "a #1.jpg": (b"a", ("ai:cats", "holiday")),
        "b.jpg": (b"b", ("ai:dogs",)),
        "c.jpg": (b"c", ("ai:dogs",)),
        "d.jpg": (b"d", ("holiday",)),
        "e.jpg": (b"e", ("ai:cats", "ai:dogs")),
        "f.jpg": (b"f", ("ai:../up",)),
    }
    for name, (content, tags) in unsorted.items():
        scene.server.stored.put(f"{UNSORTED}/{name}", content)
        scene.server.stored.tag(f"{UNSORTED}/{name}", *tags)
    ends = {
        "organized/cats/a #1.jpg": (b"a", frozenset({"holiday"})),
        "organized/dogs/b.jpg": (b"b", frozenset[str]()),
        "organized/dogs/c.jpg": (b"other c", frozenset[str]()),
        "organized/dogs/c (2).jpg": (b"c", frozenset[str]()),
        "_unsorted/d.jpg": (b"d", frozenset({"holiday"})),
        "_unsorted/e.jpg": (b"e", frozenset({"ai:cats", "ai:dogs"})),
        "_unsorted/f.jpg": (b"f", frozenset({"ai:../up"})),
    }
    contents = [b"a", b"b", b"c", b"other c", b"d", b"e", b"f"]
    return Sorting(unsorted, ends, contents)


def check_none_missing(scene: Scene, sorting: Sorting) -> None:
    """Check, at any moment: each content lies somewhere, and none twice but the one that did."""
    lying = [*scene.lying("data").values()]
    for content in sorting.contents:
        count = lying.count(content)
        assert count in ((1, 2) if content == b"b" else (1,)), f"{content!r} is there {count} times"


def check_all_sorted(scene: Scene, sorting: Sorting) -> None:
    """Check, at the end: each file lies where it belongs, with the tags that are left."""
    found = {
        path: (content, scene.server.stored.tags_of(f"data/AI/{path}"))
        for path, content in scene.lying("data/AI").items()
    }
    assert found == {path: (content, set(tags)) for path, (content, tags) in sorting.sorted.items()}


def digest(content: bytes) -> str:
    """Return a short name of some content."""
    return hashlib.sha256(content).hexdigest()[:12]
