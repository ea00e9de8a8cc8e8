"""What a simulated archive has, who may see it, and what goes wrong with it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

if TYPE_CHECKING:
    from flightline.archive_simulator.gaia import Gaia

Kind = Literal["status", "hang", "delay", "reset", "cut", "damaged", "malformed"]
LINKS_COUNT_FOR_S = 48 * 3600.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and who may see it."""

    id: int
    basename: str
    content: bytes | Path
    md5: str
    proposal: str | None = None
    """None: public."""
    version: int = 1
    headers: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> bytes:
        """Return its file."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests whose path holds ``path``, so many times; None: always."""

    kind: Kind
    path: str = "/"
    times: int | None = 1
    status: int = 503
    retry_after_s: int | None = None
    seconds: float = 3600.0


@dataclass(slots=True)
class ArchiveSimulator:
    """What there is in the archive, and what happened to it."""

    frames: dict[str, Frame] = field(default_factory=dict)
    users: dict[str, frozenset[str]] = field(default_factory=dict)
    """Token to the proposals that it opens."""
    passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name to password and token, as the observation portal knows them."""
    tap: Gaia | None = None
    faults: list[Fault] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by ``frames``, ``headers`` and ``files``."""
    tokens_seen: list[str] = field(default_factory=list)
    """The header of each request for frames."""
    url: str = ""
    links_count_for_s: float = LINKS_COUNT_FOR_S
    has_md5: bool = True
    _secret: bytes = b"simulated"

    def add(
        self,
        basename: str,
        content: bytes | Path,
        *,
        proposal: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **extra: Any,
    ) -> Frame:
        """Add a frame, or reduce one again."""
        old = self.frames.get(basename)
        number, version = (old.id, old.version + 1) if old else (len(self.frames) + 1001, 1)
        read = content if isinstance(content, bytes) else content.read_bytes()
        md5 = hashlib.md5(read, usedforsecurity=False).hexdigest()
        frame = Frame(number, basename, content, md5, proposal, version, headers or {}, extra)
        self.frames[basename] = frame
        return frame

    def fail(self, kind: Kind, **more: Any) -> Fault:
        """Have requests go wrong."""
        fault = Fault(kind, **more)
        self.faults.append(fault)
        return fault

    def strike(self, path: str) -> Fault | None:
        """Return what goes wrong with a request, counted."""
        for fault in self.faults:
            if fault.path in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def visible(self, token: str | None) -> list[Frame]:
        """Return the frames that a token opens, newest first."""
        proposals = self.users.get(token or "", frozenset())
        seen = [one for one in self.frames.values() if one.proposal is None or one.proposal in proposals]
        return sorted(seen, key=lambda frame: -frame.id)

    def record(self, frame: Frame) -> dict[str, Any]:
        """Return a frame as the API tells of it."""
        version = {
            "id": frame.id * 10 + frame.version,
            "key": f"{frame.md5[:12]}.v{frame.version}",
            "md5": frame.md5 if self.has_md5 else "",
            "extension": ".fits.fz",
            "url": self.link(frame),
        }
        return {
            "id": frame.id,
            "basename": frame.basename,
            "url": self.link(frame),
            "filename": f"{frame.basename}.fits.fz",
            "version_set": [version],
            "observation_date": "2023-11-14T08:00:00Z",
            "primary_optical_element": "rp",
            "proposal_id": frame.proposal or "public",
            "reduction_level": 91,
            "related_frames": [],
            **frame.extra,
        }

    def link(self, frame: Frame) -> str:
        """Return a link that opens a frame's file to anybody for a while."""
        until = str(int(time.time() + self.links_count_for_s))
        query = urlencode({"until": until, "signature": self.signature(frame.id, until)})
        return f"{self.url}/files/{frame.id}?{query}"

    def signature(self, number: int, until: str) -> str:
        """Return what makes a link genuine."""
        return hmac.new(self._secret, f"{number}:{until}".encode(), hashlib.sha256).hexdigest()
