"""The end of a job: what came out is judged, sidecars go along, and the manifest is written last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from scaler.domain.ground_control import POINTS_AT_MOST_BYTES, may_hold_points, scaled_points
from scaler.domain.jobs import Job, JobKind, Result, base_key
from scaler.domain.manifests import LeftOutFile, ListedFile, Listing, Manifest, scaled_manifest
from scaler.domain.pieces import Outcome
from scaler.jobs.planning import Listed
from shared.errors import InvalidInputError, NotFoundError, PermanentError
from shared.objects.port import ContentError, ObjectStore, StoredObject

EXAMPLES = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes jobs; again from anywhere."""

    objects: ObjectStore
    unfit_at_most: float
    """Share of a flight's images that may be rejected."""

    async def finish(self, job_id: str, job: Job, listed: Listed, outcomes: Sequence[Outcome]) -> Result:
        """Return what came out of a job whose images are all scaled, or rejected.

        Raises:
            PermanentError: Too many were rejected.
            TransientError: The object store is out of reach.
        """
        self._judge(job, outcomes)
        base = base_key(job_id, job)
        prefix = self.objects.uri(f"{base}/files")
        if job.kind is JobKind.IMAGE:
            (outcome,) = outcomes
            return Result(prefix=prefix, image_count=1, total_bytes=outcome.size_bytes, key=outcome.key)
        sidecars, lost = await self._sidecars(base, job, listed.listing)
        request = job.request
        manifest = scaled_manifest(
            (request.flight_id, request.version),
            job.asks,
            outcomes,
            sidecars=sidecars,
            rejected=(*listed.listing.rejected, *lost),
        )
        result = await self._written(base, prefix, manifest)
        if len(job.requests) > 1:
            await self._forget_older(base, manifest)
        return result

    def _judge(self, job: Job, outcomes: Sequence[Outcome]) -> None:
        rejected = [outcome for outcome in outcomes if not outcome.is_scaled]
        if job.kind is JobKind.IMAGE and rejected:
            raise PermanentError(f"{rejected[0].path}: {rejected[0].reason}")
        most = max(1, int(self.unfit_at_most * len(outcomes)))
        if len(rejected) > most or len(rejected) == len(outcomes):
            raise PermanentError(
                f"{len(rejected)} of {len(outcomes)} images of {job.name} cannot be scaled"
                f" ({_counted(rejected)}): {_examples(rejected)}"
            )

    async def _sidecars(
        self, base: str, job: Job, listing: Listing
    ) -> tuple[list[ListedFile], list[LeftOutFile]]:
        carried, lost = [], []
        for file in listing.sidecars:
            try:
                stored = await self._carried(file, f"{base}/files/{file.path}", job.asks.factor)
            except (NotFoundError, InvalidInputError, ContentError) as error:
                log.warning("sidecar.lost", path=file.path, error=str(error))
                lost.append(LeftOutFile(path=file.path, reason=f"unreadable: {error}", code="unreadable"))
            else:
                carried.append(
                    ListedFile(
                        path=file.path,
                        key=stored.key,
                        size_bytes=stored.size_bytes,
                        sha256=stored.sha256 or file.sha256,
                    )
                )
        return carried, lost

    async def _carried(self, file: ListedFile, key: str, factor: float) -> StoredObject:
        """Copy a sidecar; pixels in it move along with the images."""
        if may_hold_points(file.path) and file.size_bytes <= POINTS_AT_MOST_BYTES:
            content = await self.objects.read(file.key, at_most=POINTS_AT_MOST_BYTES)
            return await self.objects.put(key, scaled_points(content, factor), content_type="text/plain")
        return await self.objects.copy(file.key, key, sha256=file.sha256)

    async def _forget_older(self, base: str, manifest: Manifest) -> None:
        """Delete results of images that the flight does not have any more, for some read all of a prefix."""
        listed = {file.key for file in (*manifest.images, *manifest.sidecars)}
        async for stored in self.objects.list(f"{base}/files/"):
            if stored.key not in listed:
                await self.objects.delete(stored.key)

    async def _written(self, base: str, prefix: str, manifest: Manifest) -> Result:
        key = f"{base}/manifest.json"
        content = manifest.model_dump_json(indent=1).encode()
        await self.objects.put(key, content, content_type="application/json")
        return Result(
            prefix=prefix,
            manifest=self.objects.uri(key),
            image_count=len(manifest.images),
            total_bytes=sum(file.size_bytes for file in manifest.images),
            rejected_count=len(manifest.rejected),
        )


def _counted(rejected: Iterable[Outcome]) -> str:
    codes = Counter(outcome.code or "unreadable" for outcome in rejected)
    return ", ".join(f"{count} {code}" for code, count in codes.most_common())


def _examples(rejected: Sequence[Outcome]) -> str:
    return "; ".join(f"{outcome.path}: {outcome.reason}" for outcome in rejected[:EXAMPLES])
