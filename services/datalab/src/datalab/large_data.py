"""Data of operations that are objects, put where clients look for them when little else is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from datalab.domain.asked import ShownOperation
from datalab.together import together
from datalab.wire.answers import Written, json_bytes
from shared.errors import NotFoundError
from shared.objects.port import ObjectStore

AT_MOST_BYTES = 8 << 20
"""Of one answer; of what is more, clients get the URL."""
AT_ONCE = 4


async def with_data(objects: ObjectStore, shown: Sequence[ShownOperation]) -> list[ShownOperation]:
    """Return operations with their data in ``output_data``, wherever they were kept, if there is room."""
    left_bytes, works = AT_MOST_BYTES, []
    for one in shown:
        size_bytes = one.data_file["size_bytes"] if one.data_file else 0
        fits = 0 < size_bytes <= left_bytes
        left_bytes -= size_bytes if fits else 0
        works.append(partial(_filled, objects, one, one.data_file if fits else None))
    return await together(AT_ONCE, works)


async def _filled(
    objects: ObjectStore, one: ShownOperation, data: Mapping[str, Any] | None
) -> ShownOperation:
    if data is None:
        return one
    try:
        content = await objects.read(data["key"], at_most=AT_MOST_BYTES)
    except NotFoundError:  # it expired just now
        return one
    output = dict(one.output or {})
    pictures = output.pop("diagnostic_images", None)
    if pictures and not content.startswith(b"[{}"):
        content = b'[{"diagnostic_images":' + json_bytes(pictures) + b"," + content.removeprefix(b"[{")
    return replace(one, output={**output, "output_data": Written(content)})
