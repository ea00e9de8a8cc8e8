"""Operations as their owners see them: with what is newest of their computations, and with URLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.domain.computations import Computation, Outcome
from datalab.domain.showing import keys_of, shown_output
from datalab.execution.links import Links
from shared.state import Collection, OneOf

AT_ONCE = 500
LOST = "The computation was lost; retry the operation."


@dataclass(frozen=True, slots=True)
class Showing:
    """Looks up what operations do not know themselves."""

    computations: Collection[Computation]
    links: Links

    async def shown(self, operations: Sequence[AskedOperation], base_url: str) -> list[ShownOperation]:
        """Return the operations, in their order, as they are now."""
        open_keys = {operation.key for operation in operations if not operation.state.is_final}
        found = await self._computations(sorted(open_keys))
        outputs = [_output(operation, found) for operation in operations]
        wanted = {key: None for output in outputs if output for key in keys_of(output)}
        urls = await self.links.urls(wanted, base_url)
        return [
            _shown(operation, found.get(operation.key), output, urls)
            for operation, output in zip(operations, outputs, strict=True)
        ]

    async def _computations(self, keys: Sequence[str]) -> dict[str, Computation]:
        found: dict[str, Computation] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = tuple(keys[start : start + AT_ONCE])
            page = await self.computations.find({"id": OneOf(part)}, limit=len(part))
            found |= {document.id: document.body for document in page.items}
        return found


def _output(operation: AskedOperation, found: Mapping[str, Computation]) -> Mapping[str, Any] | None:
    if operation.state.is_final:
        return operation.output
    computation = found.get(operation.key)
    outcome: Outcome | None = computation.outcome if computation else None
    return outcome.model_dump(mode="json") if outcome else None


def _shown(
    operation: AskedOperation,
    computation: Computation | None,
    output: Mapping[str, Any] | None,
    urls: Mapping[str, str],
) -> ShownOperation:
    shown = shown_output(output, urls) if output else None
    data = output.get("data_file") if output else None
    if operation.state.is_final:
        return ShownOperation(operation, operation.state, operation.progress, operation.message, shown, data)
    if computation is None:
        return ShownOperation(operation, State.FAILED, operation.progress, LOST, None)
    state, message = computation.state, computation.message
    progress = max(operation.progress, computation.progress)
    return ShownOperation(operation, state, progress, message, shown, data)
