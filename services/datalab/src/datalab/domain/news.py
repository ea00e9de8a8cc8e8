"""What those who follow operations are told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from datalab.domain.asked import AskedOperation, ShownOperation, State


@dataclass(frozen=True, slots=True)
class News:
    """How far an operation is; without a state, that it was deleted."""

    number: int
    session: int
    state: State | None
    progress: float = 0.0
    message: str = ""

    @property
    def is_last(self) -> bool:
        """Return whether nothing more happens by itself."""
        return self.state is None or self.state.is_final

    def after(self, last: News | None) -> News | None:
        """Return what this is to somebody who heard ``last`` of the same operation; None: nothing new.

        Progress does not go backwards, unless an operation that had ended begins anew.
        """
        if last is None:
            return self
        goes_on = self.state is not None and not last.is_last
        news = replace(self, progress=max(self.progress, last.progress)) if goes_on else self
        return None if news == last else news


def news_of(shown: ShownOperation) -> News:
    """Return what is told of an operation."""
    operation = shown.operation
    return News(operation.number, operation.session, shown.state, shown.progress, shown.message)


def ended(operation: AskedOperation) -> News:
    """Return what is told of an operation that knows its end itself."""
    state, progress, message = operation.state, operation.progress, operation.message
    return News(operation.number, operation.session, state, progress, message)


def deleted(number: int, session: int) -> News:
    """Return what is told of an operation that is gone."""
    return News(number, session, None)
