"""What tests do with WebODM again and again."""

import io
import zipfile
from collections.abc import AsyncIterator
from functools import cache

from discovery.adapters.webodm import WebODM
from discovery.adapters.webodm_records import Project, Task
from discovery.adapters.webodm_session import Timeouts
from tests.support.webodm.processing import ASSETS

PASSWORD = "pilot's"
KEY = "fl0123456789abcdef"
OTHER_KEY = "fl0123456789abcdee"
QUICK = Timeouts(connect_s=5, answer_s=2, stalled_s=2)
PATIENT = Timeouts(connect_s=20, answer_s=30, stalled_s=30)
SECRET = "X-Amz-Signature=5ec7e7"


async def ensured(webodm: WebODM) -> tuple[Project, bool]:
    return await webodm.ensure_project(KEY, name="North (sys.a)", description="D", tags=["tapis", "flight"])


async def partial_task(webodm: WebODM) -> Task:
    project = await webodm.create_project("P")
    return await webodm.start_partial_task(project.id, name="T")


async def chunks_of(content: bytes, *, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def upload(webodm: WebODM, task: Task, name: str = "A.JPG", content: bytes = b"jpeg" * 5000) -> None:
    await webodm.upload_file(
        task.project, task.id, name=name, chunks=chunks_of(content), size_bytes=len(content)
    )


@cache  # a moment later it would have another time within
def assets_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(ASSETS["orthophoto.tif"], b"tiff" * 1000)
    return content.getvalue()
