"""From a job to its pieces: what there is to scale, and what of it is scaled already."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from pydantic import ValidationError

from scaler.domain.jobs import Amounts, Image, Job
from scaler.domain.manifests import ListedFile, Listing, images_of
from scaler.domain.pieces import Outcome, Piece, PieceState, cut, piece_id, reopened, reusable
from shared.errors import NotFoundError, PermanentError
from shared.objects.port import ObjectStore
from shared.sources.flight_files import FileRule
from shared.state import AlreadyExistsError, Collection

PLAN_HEX_DIGITS = 16
ONE_IMAGE = "one"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a job's images are, and the name of this listing."""

    plan: str
    listing: Listing
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Planner:
    """Lists jobs and cuts them into pieces; again from anywhere."""

    objects: ObjectStore
    pieces: Collection[Piece]
    belongs: FileRule

    async def listed(self, job: Job) -> Listed:
        """Read what a job is about.

        Raises:
            PermanentError: There is no such manifest, it is none, or it names no image.
        """
        if job.upload:
            return Listed(ONE_IMAGE, Listing(images=()), (job.upload,))
        request = job.request
        if request.manifest:
            content = await self._manifest(request.manifest)
            listing = _parsed(content, request.manifest)
        else:
            listing = await self._below(request.prefix)
            content = listing.model_dump_json().encode()
        if not listing.images:
            raise PermanentError(f"{request.name} has no images to scale")
        plan = hashlib.sha256(content).hexdigest()[:PLAN_HEX_DIGITS]
        return Listed(plan, listing, images_of(listing))

    async def plan(self, job_id: str, job: Job, listed: Listed) -> Amounts:
        """Write down the pieces of a listing; results of older ones that still are right are kept."""
        known = await self._known(job_id, job, listed)
        amounts = Amounts(
            images_total=len(listed.images), bytes_total=sum(image.size_bytes for image in listed.images)
        )
        for piece in cut(job_id, job, listed.plan, listed.images, known=known, made_s=time.time()):
            written = await self._written(piece)
            if written.state is PieceState.DONE:
                amounts = amounts.plus(written.amounts)
        return amounts

    async def _known(self, job_id: str, job: Job, listed: Listed) -> dict[str, Outcome]:
        images = {image.path: image for image in listed.images}
        known: dict[str, Outcome] = {}
        if job.plan != listed.plan:
            async for document in self.pieces.each({"job": job_id}):
                known.update({one.path: one for one in reusable(document.body, images)})
        return known

    async def _written(self, piece: Piece) -> Piece:
        """Insert a piece, or open the one that is there already."""
        name = piece_id(piece.job, piece.plan, piece.number)
        try:
            await self.pieces.insert(name, piece)
        except AlreadyExistsError:
            document = await self.pieces.update(name, lambda old: reopened(old, forgets_rejected=True))
            return document.body
        return piece

    async def _manifest(self, uri: str) -> bytes:
        try:
            return await self.objects.read(self.objects.key(uri))
        except NotFoundError as error:
            raise PermanentError(f"the manifest {uri} is gone") from error

    async def _below(self, prefix: str) -> Listing:
        """List what lies below a prefix, where nobody wrote a manifest."""
        folder = f"{self.objects.key(prefix).rstrip('/')}/"
        images: list[ListedFile] = []
        others: list[ListedFile] = []
        async for stored in self.objects.list(folder):
            path = stored.key.removeprefix(folder)
            hash_of_it = stored.sha256 or getattr(await self.objects.stat(stored.key), "sha256", None)
            file = ListedFile(path=path, key=stored.key, size_bytes=stored.size_bytes, sha256=hash_of_it)
            (images if self.belongs.is_image(path) else others).append(file)
        return Listing(images=tuple(images), sidecars=tuple(others))


def _parsed(content: bytes, uri: str) -> Listing:
    try:
        return Listing.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PermanentError(f"{uri} is no manifest of images: {first['msg']} at {where}") from error
