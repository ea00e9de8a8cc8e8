"""Which requests go wrong, and how: rules that can be switched on and off while the simulator runs."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flightline.tapis_simulator.calls import Call

Kind = Literal[
    "status", "hang", "delay", "reset", "malformed",  # instead of, or before, the answer
    "drip", "cut", "eof",  # how the answer's body goes over the wire
    "wrong_size", "wrong_content", "replace",  # what a file's bytes are
    "appear", "disappear", "grow", "duplicate",  # what a listing says
    "expire_tokens", "revoke_refresh",
]  # fmt: skip


def _is_regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return text


class Match(BaseModel):
    """The requests that a rule is about; what is not given matches all.

    ``path`` is looked for in the path inside the system, or in the URL's path if no system is asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, AfterValidator(_is_regex)] | None = None
    system: str | None = None
    method: str | None = None
    operation: str | None = None

    def fits(self, call: Call) -> bool:
        """Return whether the rule is about ``call``."""
        wanted = ((self.system, call.system), (self.method, call.method), (self.operation, call.operation))
        if any(one not in (None, is_) for one, is_ in wanted):
            return False
        return self.path is None or re.search(self.path, call.path or call.url_path) is not None


class Fault(BaseModel):
    """What goes wrong.

    ======================  ========================================================================
    status                  an error of ``status``, with ``retry_after_s`` and ``message`` if given
    hang                    no answer for ``seconds``
    delay                   the answer comes ``seconds`` late
    reset                   the connection is torn down without an answer
    malformed               half a JSON document, well framed
    drip                    the body comes at ``bytes_per_s``
    cut                     after ``at_bytes`` the connection ends; the client can tell
    eof                     the same without framing: the client cannot tell
    wrong_size              ``bytes`` more (or, below zero, fewer) than the file has
    wrong_content           as many bytes as the file has, but others
    replace                 half-way the file becomes another one, of ``size_bytes`` if given
    appear                  a file ``name`` appears in the folder before the page is read
    disappear               the folder's first file vanishes before the page is read
    grow                    the folder has ``files`` more files than at the last listing
    duplicate               the page repeats its last entry ``files`` times
    expire_tokens           no access token counts any longer
    revoke_refresh          no refresh token counts any longer
    ======================  ========================================================================
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    status: Annotated[int, Field(ge=400, le=599)] = 503
    retry_after_s: Annotated[float, Field(ge=0)] | None = None
    message: str | None = None
    seconds: Annotated[float, Field(gt=0)] = 3600
    bytes_per_s: Annotated[float, Field(gt=0)] = 1024
    at_bytes: Annotated[int, Field(ge=0)] = 1000
    bytes: int = -1
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    name: str = "0000_appeared.jpg"
    files: Annotated[int, Field(ge=1, le=10_000)] = 1


class Rule(BaseModel):
    """A fault and when it strikes.

    Attributes:
        times: So often, then never again; none: always.
        after: So many requests that match are spared first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: Match = Match()
    fault: Fault
    times: Annotated[int, Field(ge=1)] | None = 1
    after: Annotated[int, Field(ge=0)] = 0


class Faults:
    """The rules in force. All whose match fits strike together, in the order in which they came."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
        self._met: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def add(self, rule: Rule) -> int:
        """Put a rule in force and return its number."""
        number = next(self._numbers)
        self._rules[number] = rule
        self._met[number] = 0
        return number

    def switch_on(self, kind: Kind, *, times: int | None = 1, after: int = 0, **more: Any) -> int:
        """Put a rule in force; what is a field of `Match` matches, the rest is the fault's."""
        matching = {name: more.pop(name) for name in Match.model_fields if name in more}
        fault = Fault(kind=kind, **more)
        return self.add(Rule(match=Match(**matching), fault=fault, times=times, after=after))

    def remove(self, number: int) -> bool:
        """Take a rule out of force, and return whether there was one."""
        self._met.pop(number, None)
        return self._rules.pop(number, None) is not None

    def clear(self) -> None:
        """Take every rule out of force."""
        self._rules.clear()
        self._met.clear()

    def strike(self, call: Call) -> list[Fault]:
        """Return the faults of one request, counted."""
        return [rule.fault for number, rule in self._rules.items() if self._strikes(number, rule, call)]

    def document(self) -> list[dict[str, Any]]:
        """Return the rules as JSON, with how often each struck."""
        return [
            {"id": number, "struck": self._struck(number, rule), **rule.model_dump(exclude_defaults=True)}
            for number, rule in self._rules.items()
        ]

    def _strikes(self, number: int, rule: Rule, call: Call) -> bool:
        if not rule.match.fits(call):
            return False
        self._met[number] += 1
        turn = self._met[number] - rule.after
        return turn > 0 and (rule.times is None or turn <= rule.times)

    def _struck(self, number: int, rule: Rule) -> int:
        struck = max(0, self._met[number] - rule.after)
        return struck if rule.times is None else min(struck, rule.times)
