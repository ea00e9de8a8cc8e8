"""Bodies that we read ourselves, as the API's description tells of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return what is said of a route whose JSON body has the fields of ``model``."""
    return _body({"application/json": model.model_json_schema()})


def file_body() -> dict[str, Any]:
    """Return what is said of a route that takes a file."""
    schema = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
    return _body({"multipart/form-data": schema})


def _body(schemas: dict[str, Any]) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}
