"""What a Dockerfile says, and what .dockerignore lets it see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile; ``stage`` counts from 0, -1 is before the first FROM."""

    stage: int
    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """Return its arguments, without flags."""
        return [word for word in self.rest.split() if not word.startswith("--")]


def instructions(text: str) -> list[Instruction]:
    """Return what a Dockerfile says, lines that go on put together, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = -1
    for whole in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = whole.strip().partition(" ")
        stage += word == "FROM"
        found.append(Instruction(stage, word, rest.strip()))
    return found


def ours() -> list[Instruction]:
    """Return what deploy/Dockerfile says."""
    return instructions(DOCKERFILE.read_text())


def copied() -> list[str]:
    """Return what the Dockerfile copies from its context."""
    return [
        source
        for one in ours()
        if one.word == "COPY" and "--from=" not in one.rest
        for source in one.words[:-1]
    ]


def is_sent(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a build sees a path of its context: the last pattern that fits decides."""
    sent = True
    for pattern in patterns:
        if re.fullmatch(f"(?:{_expression(pattern.lstrip('!'))})(?:/.*)?", path):
            sent = pattern.startswith("!")
    return sent


def ignored() -> list[str]:
    """Return the patterns of .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _expression(pattern: str) -> str:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        parts.get(piece) or re.escape(piece) for piece in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
    )
