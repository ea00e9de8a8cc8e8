"""Operations are asked for, cancelled, tried again and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from datalab.clock import now_us
from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.domain.computations import Computation
from datalab.domain.endings import given_up
from datalab.domain.keys import files_of, in_order, key_of, unordered_of
from datalab.domain.users import Caller
from datalab.execution.line import Line
from datalab.execution.showing import Showing
from datalab.execution.wanting import Wanting
from datalab.inputs.files import InputFiles
from datalab.operations.operation import OperationError
from datalab.operations.registry import Registry
from shared.errors import NotFoundError, TransientError
from shared.state import Change, RevisionError
from shared.tracing import traceparent

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asking:
    """Whoever has operations computed; see ``ports.Operations``."""

    registry: Registry
    files: InputFiles
    line: Line
    wanting: Wanting
    showing: Showing

    async def ask(self, operation: AskedOperation, caller: Caller) -> AskedOperation:
        """Store a new operation, which has its number already, and have it computed.

        Raises:
            OperationError: An input does not exist, or ``caller`` may not see it.
            TransientError: It cannot be told now whether it does.
        """
        asked = await self._asked(operation, caller)
        computation = await self.wanting.open(asked)
        operation = operation.model_copy(update={"key": asked.key, "progress": 0.0})
        await self.wanting.operations.insert(operation.document_id, operation)
        log.info(
            "operation.asked",
            operation=operation.number,
            session=operation.session,
            name=operation.name,
            key=asked.key,
            found=computation.state.value,
        )
        return await self._followed(operation, asked)

    async def cancel(self, operation: AskedOperation) -> AskedOperation:
        """Stop an unfinished operation, and its computation where nobody else waits for that."""
        operation = await self._given_up(operation)
        await self.wanting.give_up(operation.key)
        return operation

    async def retry(self, operation: AskedOperation, caller: Caller) -> AskedOperation:
        """Have a failed or cancelled operation computed again; one in another state stays as it is.

        Raises:
            OperationError: As at ``ask``.
        """
        if operation.state is State.COMPLETED or await self._goes_on(operation):
            return operation
        asked = await self._asked(operation, caller)
        await self.wanting.open(asked)

        def again(old: AskedOperation) -> AskedOperation | None:
            if old.state is State.COMPLETED:
                return None
            begins = {"key": asked.key, "state": State.PENDING, "progress": 0.0, "message": "", "ended_us": 0}
            return old.model_copy(update={**begins, "output": None})

        document = await self.wanting.operations.update(operation.document_id, again)
        return await self._followed(document.body, asked)

    async def forget(self, operation: AskedOperation) -> None:
        """Delete the operation's document, and stop its computation where nobody else waits for that.

        As long as its end is still to be told, the document stays, and nobody's.
        """
        try:
            operation = await self._given_up(operation)
            await self._deleted(operation)
        except NotFoundError:
            pass
        if operation.key:
            await self.wanting.give_up(operation.key)

    async def shown(self, operations: Sequence[AskedOperation], *, base_url: str) -> list[ShownOperation]:
        """Return the operations, in their order, as they are now."""
        return await self.showing.shown(operations, base_url)

    async def _asked(self, operation: AskedOperation, caller: Caller) -> Computation:
        """Return the computation that an operation asks for; its caller may see all that it works on."""
        if operation.name not in self.registry:
            raise OperationError(f"There is no operation {operation.name}.")
        kind = self.registry[operation.name]
        try:
            inputs = kind.inputs.model_validate(operation.input_data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise OperationError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        files = await self.files.identify(files_of(inputs), caller)
        contents = {file.name: file.content for file in files}
        inputs = in_order(inputs, contents, unordered_of(kind))
        now = now_us()
        return Computation(
            key=key_of(kind.name, kind.version, inputs, contents),
            name=kind.name,
            version=kind.version,
            inputs=inputs.model_dump(mode="json"),
            files=files,
            asked_by=caller.name,
            turn=await self.line.next_turn(caller.name),
            session=operation.session,
            operation=operation.number,
            due_s=now / 1e6,
            created_us=now,
            traceparent=traceparent(),
        )

    async def _goes_on(self, operation: AskedOperation) -> bool:
        """Return whether an operation has not ended, and there is something that will end it."""
        if operation.state.is_final:
            return False
        return await self.wanting.computations.get(operation.key) is not None

    async def _followed(self, operation: AskedOperation, asked: Computation) -> AskedOperation:
        """Look at the computation once more, now that the operation points to it."""
        try:
            computation = await self.wanting.open(asked)
            settled = await self.wanting.settle_one(operation.document_id, computation)
        except TransientError as error:  # it is stored; what ends its computation tells it, too
            log.warning("operation.followed_later", operation=operation.number, error=str(error))
            return operation
        return settled.body if settled else operation

    async def _given_up(self, operation: AskedOperation) -> AskedOperation:
        if operation.state.is_final:
            return operation
        document = await self.wanting.computations.get(operation.key)
        progress, started_us = (document.body.progress, document.body.started_us) if document else (0.0, 0)

        def change(old: AskedOperation) -> Change[AskedOperation] | None:
            ended = given_up(old, progress, now_us())
            return Change(ended, [self.wanting.told(ended, started_us)]) if ended else None

        return (await self.wanting.operations.update(operation.document_id, change)).body

    async def _deleted(self, operation: AskedOperation) -> None:
        while True:
            document = await self.wanting.operations.load(operation.document_id)
            if document.record.outbox:
                await self.wanting.operations.update(document.id, _nobodys)
                return
            try:
                await self.wanting.operations.delete(document)
            except RevisionError:
                continue
            return


def _nobodys(operation: AskedOperation) -> Change[AskedOperation]:
    """Return an operation that goes as soon as its end was told, and that nobody sees till then."""
    hidden = operation.model_copy(update={"session": 0, "owner": "", "key": ""})
    return Change(hidden, expires_at=datetime.now(UTC))
