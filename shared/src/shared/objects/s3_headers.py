"""How S3 is told what is kept beside a content, and how it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from shared.objects.port import StoredObject

_PLAIN = "!#$&'()*+,/:;<=>?@[]^`{|}"


def describing(about: StoredObject) -> dict[str, Any]:
    """Return how S3 calls describe a new object; header values are ASCII, so the rest is percent-encoded."""
    metadata = {name: quote(value, safe=_PLAIN) for name, value in about.metadata.items()}
    if about.sha256:
        metadata["sha256"] = about.sha256
    return {"ContentType": about.content_type, "Metadata": metadata}


def described(key: str, answer: Mapping[str, Any]) -> StoredObject:
    """Return what S3 answers about the object ``key``."""
    metadata = {name: unquote(value) for name, value in answer["Metadata"].items()}
    return StoredObject(
        key,
        answer["ContentLength"],
        metadata.pop("sha256", None),
        answer["LastModified"],
        answer.get("ContentType", "application/octet-stream"),
        answer["ETag"].strip('"'),
        metadata,
    )
