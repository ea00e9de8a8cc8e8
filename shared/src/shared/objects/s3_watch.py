"""How long S3 takes to answer, and how."""

from __future__ import annotations

import time
from typing import Any

from shared.outgoing import SECONDS

_BEGAN = "flightline-began"


def watch_calls(client: Any) -> None:
    """Measure every call of ``client``, its repetitions included."""
    events = client.meta.events
    events.register("before-call.s3", _begins)
    events.register("after-call.s3", _answered)
    events.register("after-call-error.s3", _unanswered)


def _begins(context: dict[str, Any], **_: Any) -> None:
    context[_BEGAN] = time.perf_counter()


def _answered(http_response: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
    _note(context, model.name, f"{http_response.status_code // 100}xx")


def _unanswered(context: dict[str, Any], event_name: str = "", **_: Any) -> None:
    _note(context, event_name.rpartition(".")[2], "unanswered")


def _note(context: dict[str, Any], operation: str, outcome: str) -> None:
    began = context.pop(_BEGAN, None)
    if began is not None:
        SECONDS.labels("s3", operation, outcome).observe(time.perf_counter() - began)
