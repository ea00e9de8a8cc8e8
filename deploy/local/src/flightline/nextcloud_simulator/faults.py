"""Which requests go wrong, and how often: rules that can be switched on and off while the simulator runs."""

from __future__ import annotations

import itertools
import re
import threading
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flightline.nextcloud_simulator.answers import Answer, RefusedError

_HTML = b"<!DOCTYPE html><html><body><h1>Maintenance</h1>Back soon.</body></html>"


def _is_regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return text


class Rule(BaseModel):
    """What goes wrong, and when.

    Attributes:
        kind: ``status``: an error instead of the work; ``late-status``: the work is done, the answer is an
            error; ``html``: a page with status 200 instead of the work; ``delay``: the answer comes late.
        method: Only this method; none: every one.
        path: Looked for in the decoded path of the address, and of the destination of a move.
        times: So often, then never again; none: always.
        after: So many requests that match are spared first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["status", "late-status", "html", "delay"] = "status"
    method: str | None = None
    path: Annotated[str, AfterValidator(_is_regex)] = ""
    status: Annotated[int, Field(ge=400, le=599)] = 503
    message: str = "simulated trouble"
    retry_after_s: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    times: Annotated[int, Field(ge=1)] | None = 1
    after: Annotated[int, Field(ge=0)] = 0

    def fits(self, method: str, paths: tuple[str, ...]) -> bool:
        """Return whether the rule is about a request."""
        return self.method in (None, method) and any(re.search(self.path, path) for path in paths)

    def answer(self) -> Answer:
        """Return what the client gets instead."""
        if self.kind == "html":
            return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, _HTML)
        after = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return RefusedError(self.status, self.message, headers=after).answer()


class Faults:
    """The rules in force; all that fit a request strike together, in the order in which they came."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
        self._met: Counter[int] = Counter()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> int:
        """Put a rule in force and return its number."""
        with self._lock:
            number = next(self._numbers)
            self._rules[number] = rule
            return number

    def remove(self, number: int) -> bool:
        """Take a rule out of force, and return whether there was one."""
        with self._lock:
            return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """Take every rule out of force."""
        with self._lock:
            self._rules.clear()
            self._met.clear()

    def strike(self, method: str, paths: tuple[str, ...]) -> list[Rule]:
        """Return the rules that strike a request, counted."""
        with self._lock:
            return [
                rule for number, rule in self._rules.items() if self._strikes(number, rule, method, paths)
            ]

    def document(self) -> list[dict[str, Any]]:
        """Return the rules as JSON, with how often each was met."""
        with self._lock:
            return [
                {"id": number, "met": self._met[number], **rule.model_dump(exclude_defaults=True)}
                for number, rule in self._rules.items()
            ]

    def _strikes(self, number: int, rule: Rule, method: str, paths: tuple[str, ...]) -> bool:
        if not rule.fits(method, paths):
            return False
        self._met[number] += 1
        turn = self._met[number] - rule.after
        return turn > 0 and (rule.times is None or turn <= rule.times)
