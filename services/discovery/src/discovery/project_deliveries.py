"""Brings images and products to WebODM; what was begun is gone on with after any end of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import ValidationError

from discovery.adapters.webodm import WebODM
from discovery.adapters.webodm_records import Task
from discovery.domain.projects import ALL_ASSETS, IMPORTS_AT_MOST, Delivery, DeliveryState
from discovery.domain.staged_files import StagedFile, StagedManifest, flat_names
from shared.errors import NotFoundError, PermanentError, TransientError
from shared.objects.port import NoUrlError, ObjectStore

log = structlog.get_logger()

FILES_AT_ONCE = 4
FILES_PER_NOTE = 16
"""After so many files it is written down how far an upload is; so many may be sent twice."""
FILES_AT_MOST = 100_000
URL_COUNTS_FOR = timedelta(hours=24)
"""WebODM fetches when it has a worker free."""

Note = Callable[[Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Fills the tasks of projects."""

    webodm: WebODM
    objects: ObjectStore
    gateway_url: str | None = None
    """Where WebODM reaches odm-gateway, for products whose store has no URLs."""

    async def bring(self, project_id: int, delivery: Delivery, note: Note) -> None:
        """Bring a delivery as far as it goes now, and write down how far that is.

        Raises:
            TransientError: WebODM or the object store is away; it is gone on with later.
        """
        step = self._upload if delivery.kind == "images" else self._import
        try:
            await step(project_id, delivery, note)
        except NotFoundError as error:
            # The project or the task may have been deleted: the next visit finds out which.
            raise TransientError(str(error)) from error
        except PermanentError as error:
            log.warning("delivery.failed", name=delivery.name, error=str(error))
            await note(_ended(delivery, DeliveryState.FAILED, str(error)))

    async def _upload(self, project_id: int, delivery: Delivery, note: Note) -> None:
        task = await self._task(project_id, delivery)
        if task is None:
            await note(_ended(delivery, DeliveryState.DELETED, "somebody deleted the task"))
            return
        if delivery.webodm_task_id != task.id:
            delivery = _with(delivery, webodm_task_id=task.id, files_done=0, state=DeliveryState.UNDER_WAY)
            await note(delivery)
        if task.partial:
            delivery = await self._send_all(task, delivery, note)
            await self._remove_doubles(task, delivery)
            task = await self.webodm.commit_task(project_id, task.id)
        if task.images_count < delivery.image_count:
            raise PermanentError(f"WebODM has {task.images_count} of {delivery.image_count} images")
        await note(_ended(delivery, DeliveryState.DONE))
        log.info("delivery.uploaded", name=delivery.name, files=delivery.files_total)

    async def _task(self, project_id: int, delivery: Delivery) -> Task | None:
        """Return the task of a delivery, made if need be; None: it was made, and somebody deleted it."""
        if delivery.webodm_task_id is not None:
            tasks = await self.webodm.tasks(project_id)
            return next((task for task in tasks if task.id == delivery.webodm_task_id), None)
        options = {option.name: option.value for option in delivery.options}
        task, _ = await self.webodm.ensure_partial_task(
            project_id, delivery.key_tag, name=delivery.name, options=options
        )
        return task

    async def _remove_doubles(self, task: Task, delivery: Delivery) -> None:
        """Remove tasks that were made because an answer was lost."""
        for other in await self.webodm.tasks(task.project):
            if other.id != task.id and other.partial and delivery.key_tag in other.tags:
                await self.webodm.remove_task(task.project, other.id)

    async def _send_all(self, task: Task, delivery: Delivery, note: Note) -> Delivery:
        named = flat_names(await self._files(delivery))
        delivery = _with(delivery, files_total=len(named))
        for start in range(delivery.files_done, len(named), FILES_PER_NOTE):
            batch = named[start : start + FILES_PER_NOTE]
            await self._send_batch(task, batch)
            delivery = _with(delivery, files_done=start + len(batch))
            await note(delivery)
        return delivery

    async def _send_batch(self, task: Task, batch: list[tuple[str, StagedFile]]) -> None:
        free = asyncio.Semaphore(FILES_AT_ONCE)

        async def send(name: str, file: StagedFile) -> None:
            async with free:
                await self.webodm.upload_file(
                    task.project, task.id, name=name, chunks=self._chunks(file), size_bytes=file.size_bytes
                )

        sending = [asyncio.create_task(send(name, file)) for name, file in batch]
        try:
            await asyncio.gather(*sending)
        finally:
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def _chunks(self, file: StagedFile) -> AsyncIterator[bytes]:
        try:
            async with self.objects.open(file.key) as chunks:
                async for chunk in chunks:
                    yield chunk
        except NotFoundError as error:
            raise PermanentError(f"the staged file {file.path} is gone") from error

    async def _files(self, delivery: Delivery) -> list[StagedFile]:
        """Return what is staged: what the manifest lists, or everything below the prefix."""
        if delivery.manifest is None:
            return await self._listed(self.objects.key(delivery.place))
        try:
            text = await self.objects.read(self.objects.key(delivery.manifest))
        except NotFoundError as error:
            raise PermanentError("the manifest of the staged images is gone") from error
        return await asyncio.to_thread(_manifest_files, text)

    async def _listed(self, prefix: str) -> list[StagedFile]:
        below = f"{prefix.rstrip('/')}/"
        files: list[StagedFile] = []
        async for stored in self.objects.list(below):
            path = stored.key.removeprefix(below)
            files.append(StagedFile(path=path, key=stored.key, size_bytes=stored.size_bytes))
            if len(files) > FILES_AT_MOST:
                raise PermanentError(f"there are more than {FILES_AT_MOST} staged files")
        return files

    async def _import(self, project_id: int, delivery: Delivery, note: Note) -> None:
        if delivery.webodm_task_id is None:
            await self._begin_import(project_id, delivery, note)
            return
        tasks = await self.webodm.tasks(project_id)
        task = next((one for one in tasks if one.id == delivery.webodm_task_id), None)
        if task is None:
            await note(_ended(delivery, DeliveryState.DELETED, "somebody deleted the task"))
        elif task.has_failed:
            await self._import_failed(delivery, task, note)
        elif task.has_ended:
            await note(_ended(delivery, DeliveryState.DONE))
            log.info("delivery.imported", name=delivery.name)

    async def _begin_import(self, project_id: int, delivery: Delivery, note: Note) -> None:
        try:
            url = await self._url(delivery)
        except NoUrlError as error:
            reason = f"{error}; WebODM imports by URL: use an S3 store, or set DISCOVERY_GATEWAY_URL"
            await note(_ended(delivery, DeliveryState.SKIPPED, reason))
            log.warning("delivery.skipped", name=delivery.name, reason=reason)
            return
        task, _ = await self.webodm.ensure_imported_task(project_id, name=delivery.name, url=url)
        await note(_with(delivery, state=DeliveryState.UNDER_WAY, webodm_task_id=task.id))

    async def _import_failed(self, delivery: Delivery, task: Task, note: Note) -> None:
        why = task.last_error or "WebODM does not say why"
        attempts = delivery.attempts + 1
        if attempts >= IMPORTS_AT_MOST:
            await note(_ended(delivery, DeliveryState.FAILED, f"WebODM could not import the products: {why}"))
            return
        await note(
            _with(
                delivery,
                state=DeliveryState.PENDING,
                webodm_task_id=None,
                attempts=attempts,
            )
        )
        raise TransientError(f"WebODM could not import the products: {why}")

    async def _url(self, delivery: Delivery) -> str:
        key = f"{self.objects.key(delivery.place).rstrip('/')}/{ALL_ASSETS}"
        try:
            return await self.objects.presign(key, expires=URL_COUNTS_FOR)
        except NoUrlError:
            if self.gateway_url is None:
                raise
            return f"{self.gateway_url.rstrip('/')}/task/{delivery.task_id}/download/{ALL_ASSETS}"


def _manifest_files(text: bytes) -> list[StagedFile]:
    try:
        manifest = StagedManifest.model_validate_json(text)
    except ValidationError as error:
        raise PermanentError("the manifest of the staged images cannot be read") from error
    return [*manifest.images, *manifest.sidecars]


def _with(delivery: Delivery, **fields: object) -> Delivery:
    return delivery.model_copy(update=fields)


def _ended(delivery: Delivery, state: DeliveryState, reason: str | None = None) -> Delivery:
    return _with(delivery, state=state, reason=reason)
