"""Files that lie in the object store: results of datalab, uploads of users, products of flights."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datalab.collections import OPERATIONS, UPLOADS
from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import Computation, InputFile, StoredFile
from datalab.domain.uploads import Upload
from datalab.domain.users import Caller
from datalab.execution.collections import COMPUTATIONS
from datalab.operations.operation import FileRef, OperationError
from shared.errors import NotFoundError, TransientError
from shared.objects.keys import is_key
from shared.objects.port import ContentError, ObjectStore
from shared.state import Collection
from shared.state.port import Store

PRODUCTS = "products"
"""Below which odm-gateway stores what comes out of flights."""
_RESULT = re.compile(r"(?P<key>[0-9a-f]{64})(-\d{1,4})?")
_KINDS = ("fits", "tif", "large")


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Reads objects into files."""

    objects: ObjectStore
    file_bytes_at_most: int

    async def fetch(self, file: InputFile, to: Path) -> None:
        """Write an object to a file, its hash verified.

        Raises:
            OperationError: It is gone, or too large.
        """
        if (file.size_bytes or 0) > self.file_bytes_at_most:
            raise OperationError(
                f"{file.basename} is larger than the {self.file_bytes_at_most} bytes that are taken here"
            )
        try:
            await self.objects.download(file.place, to)
        except NotFoundError as error:
            raise OperationError(f"{file.basename} is not there any more.") from error
        except ContentError as error:
            raise TransientError(f"{file.basename} could not be read whole: {error}") from error

    def local_path(self, file: InputFile) -> Path | None:
        """Return None: objects are read into files."""
        del file
        return None


@dataclass(frozen=True, slots=True)
class Results(Fetcher):
    """What operations made: for who asked for it, and for who may see everything that it was made of."""

    store: Store
    may_see: Callable[[Sequence[InputFile], Caller], Awaitable[None]]

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return a result by its basename.

        Raises:
            OperationError: There is none that the caller may see.
        """
        unknown = OperationError(f"There is no result {ref.basename}, or you may not see it.")
        named = _RESULT.fullmatch(ref.basename)
        document = await self._computations.get(named["key"]) if named else None
        if document is None or document.body.state is not State.COMPLETED or document.body.is_expiring:
            raise unknown
        stored = _result(document.body, ref.basename)
        if stored is None:
            raise unknown
        if not (caller.is_admin or await self._has_asked(document.id, caller)):
            try:
                await self.may_see(document.body.files, caller)
            except OperationError:
                raise unknown from None
        return InputFile(
            source="datalab",
            basename=ref.basename,
            content=f"sha256:{stored.sha256}",
            place=stored.key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            computation=document.id,
        )

    async def _has_asked(self, key: str, caller: Caller) -> bool:
        operations = Collection(self.store, OPERATIONS, AskedOperation)
        async for document in operations.each({"key": key}):
            if document.body.owner == caller.name:
                return True
        return False

    @property
    def _computations(self) -> Collection[Computation]:
        return Collection(self.store, COMPUTATIONS, Computation)


def _result(computation: Computation, basename: str) -> StoredFile | None:
    outcome = computation.outcome
    for output in outcome.files if outcome else ():
        if output.basename == basename:
            return next((output.files[kind] for kind in _KINDS if kind in output.files), None)
    return None


@dataclass(frozen=True, slots=True)
class Uploads(Fetcher):
    """What users brought, each for themselves."""

    store: Store

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return an upload of the caller.

        Raises:
            OperationError: There is none of this name.
        """
        uploads = Collection(self.store, UPLOADS, Upload)
        found = await uploads.find({"owner": caller.name, "basename": ref.basename}, limit=1)
        if not found.items:
            raise OperationError(f"You have not uploaded {ref.basename}.")
        upload = found.items[0].body
        return InputFile(
            source="upload",
            basename=ref.basename,
            content=f"sha256:{upload.sha256}",
            place=upload.key,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
        )


@dataclass(frozen=True, slots=True)
class Products(Fetcher):
    """What came out of flights: for the user who has a session of each, and for administrators."""

    owner: str

    async def find(self, ref: FileRef, caller: Caller) -> InputFile:
        """Return a product by task and path, such as ``TASK/odm_orthophoto/odm_orthophoto.tif``.

        Raises:
            OperationError: There is none that the caller may see.
        """
        key = f"{PRODUCTS}/{ref.basename}"
        may_see = caller.is_admin or (caller.name == self.owner != "")
        stored = await self.objects.stat(key) if may_see and is_key(key) else None
        if stored is None:
            raise OperationError(f"There is no product {ref.basename}, or you may not see it.")
        return InputFile(
            source="product",
            basename=ref.basename,
            content=f"sha256:{stored.sha256}" if stored.sha256 else f"product:{key}:{stored.etag}",
            place=key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )
