"""What those who follow operations are told, and what is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from datalab.domain.asked import ShownOperation, State

_ORDER = {State.PENDING: 0, State.IN_PROGRESS: 1}


@dataclass(frozen=True, slots=True)
class News:
    """How far an operation is; without a state, that it was deleted."""

    number: int
    session: int
    revision: int
    """Of its document, which changes with each state that it keeps itself: not with progress."""
    state: State | None
    progress: float = 0.0
    message: str = ""

    @property
    def is_last(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self.state is None or self.state.is_final

    def is_new_after(self, last: News | None) -> bool:
        """Return whether this tells anything to somebody who heard ``last`` of the same operation.

        What was seen earlier may arrive later: within a revision nothing goes backwards.
        """
        if last is None:
            return True
        return self._age >= last._age and replace(self, revision=last.revision) != last

    @property
    def _age(self) -> tuple[int, int, float]:
        rank = 2 if self.state is None else _ORDER.get(self.state, 2)
        return self.revision, rank, self.progress


def news_of(shown: ShownOperation, revision: int) -> News:
    """Return what is told of an operation."""
    operation = shown.operation
    return News(operation.number, operation.session, revision, shown.state, shown.progress, shown.message)


def deleted(number: int, session: int) -> News:
    """Return what is told of an operation that is gone."""
    return News(number, session, _BEYOND, None)


_BEYOND = 1 << 62
"""Later than any revision."""
