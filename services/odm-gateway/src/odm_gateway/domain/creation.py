"""From the fields of a request to the task that it asks for."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from odm_gateway.domain import javascript
from odm_gateway.domain.options import OptionTable, parse_submitted
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.webhooks import webhook_url
from shared.errors import InvalidInputError
from shared.tracing import traceparent

OUTPUTS_AT_MOST = 1000


def asked_task(
    task_id: str, tenant: str, fields: Mapping[str, Any], table: OptionTable, now: datetime
) -> Task:
    """Return the task that ``fields`` describe, without its files.

    Raises:
        InvalidInputError: A field is wrong; about options in NodeODM's words.
    """
    options = table.validated(parse_submitted(fields.get("options")))
    post_processing = fields.get("skipPostProcessing") not in ("true", True)
    if post_processing:
        options = table.with_post_processing(options)
    return Task(
        id=task_id,
        tenant=tenant,
        post_processing=post_processing,
        name=javascript.text(fields["name"]) if "name" in fields else None,
        created_at=given_date(fields) or now,
        inserted_us=round(now.timestamp() * 1e6),
        options=options,
        images="",
        outputs=wanted_outputs(fields.get("outputs")),
        webhook=webhook_url(fields.get("webhook")),
        traceparent=traceparent(),
    )


def given_date(fields: Mapping[str, Any]) -> datetime | None:
    """Return the moment that a client gives in milliseconds since 1970, if it gives one."""
    try:
        return datetime.fromtimestamp(javascript.parse_int(fields.get("dateCreated")) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def wanted_outputs(raw: object) -> tuple[str, ...]:
    """Return the paths in the project that a client wants in its archive.

    Raises:
        InvalidInputError: They are no JSON, or too many.
    """
    if isinstance(raw, str) and raw.strip():
        try:
            raw = javascript.parse_json(raw)
        except ValueError as error:
            raise InvalidInputError(f"outputs is no JSON: {error}", field="outputs") from error
    if not isinstance(raw, list):
        return ()
    if len(raw) > OUTPUTS_AT_MOST:
        raise InvalidInputError(f"outputs has more than {OUTPUTS_AT_MOST} paths.", field="outputs")
    paths = [_inside(item) for item in raw if isinstance(item, str) and "\0" not in item]
    return tuple(dict.fromkeys(path for path in paths if path))


def _inside(path: str) -> str:
    """Return ``path`` below the project, whatever it tries to climb."""
    normal = posixpath.normpath(f"/{path.replace(chr(92), '/')}").lstrip("/")
    return "" if normal == "." else normal
