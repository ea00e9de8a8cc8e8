"""The API in the words of OpenAPI 3.1, out of the Swagger 2.0 document: it is written down once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Description: TypeAlias = Mapping[str, Any]

JSON, MULTIPART = "application/json", "multipart/form-data"
OK, UNAVAILABLE = "200", "503"
_ERROR = {"$ref": "#/components/schemas/Error"}
_FAULT = {"$ref": "#/components/schemas/ErrorResponse"}
_SCHEMA_KEYS = ("type", "format", "pattern", "enum", "minimum", "maximum", "default")
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}


def described(generated: Description, swagger: Description) -> dict[str, Any]:
    """Return the document that was generated from the routes, with our descriptions of what they say.

    Args:
        generated: In the words of OpenAPI; paths that ``swagger`` does not know stay as they are.
        swagger: In the words of Swagger 2.0.
    """
    document = _Document(swagger)
    paths = {
        path: {method: document.operation(path, method, operation) for method, operation in item.items()}
        for path, item in generated["paths"].items()
    }
    components = generated.get("components", {})
    schemas = {name: _schema(schema) for name, schema in swagger["definitions"].items()}
    return {
        **generated,
        "info": {**generated["info"], "description": swagger["info"]["description"]},
        "tags": swagger["tags"],
        "paths": paths,
        "components": {
            **components,
            "schemas": {**components.get("schemas", {}), **schemas},
            "securitySchemes": swagger["securityDefinitions"],
        },
    }


class _Document:
    """A description to translate from."""

    def __init__(self, swagger: Description) -> None:
        self._swagger = swagger

    def operation(self, path: str, method: str, generated: Description) -> Description:
        """Return what is said of an operation; ``generated`` where there is nothing."""
        told = self._swagger["paths"].get(path, {}).get(method)
        if told is None:
            return generated
        parameters = [self._resolved(parameter, "parameters") for parameter in told.get("parameters", ())]
        body = self._body(told, parameters)
        operation = {
            "tags": told["tags"],
            "summary": told["summary"],
            "operationId": told["operationId"],
            "security": told.get("security", self._swagger["security"]),
            "parameters": [_parameter(one) for one in parameters if one["in"] not in ("formData", "body")],
            "responses": {
                status: self._response(status, response, method, told)
                for status, response in told["responses"].items()
            },
        }
        return {**operation, "requestBody": body} if body else operation

    def _resolved(self, told: Description, kind: str) -> Description:
        reference = told.get("$ref")
        found: Description = self._swagger[kind][reference.rpartition("/")[2]] if reference else told
        return found

    def _body(self, told: Description, parameters: Iterable[Description]) -> Description | None:
        kinds = told.get("consumes", self._swagger["consumes"])
        fields = [one for one in parameters if one["in"] == "formData"]
        whole = [one for one in parameters if one["in"] == "body"]
        if whole:
            return {
                "required": True,
                "content": {kind: {"schema": _schema(whole[0]["schema"])} for kind in kinds},
            }
        if fields:
            return {"content": {kind: {"schema": _form(fields, kind)} for kind in kinds}}
        return None

    def _response(self, status: str, told: Description, method: str, operation: Description) -> Description:
        told = self._resolved(told, "responses")
        answer: dict[str, Any] = {"description": told["description"]}
        if headers := told.get("headers"):
            answer["headers"] = {name: _parameter(header) for name, header in headers.items()}
        if status == UNAVAILABLE:
            return {**answer, "content": {JSON: {"schema": _FAULT}}}
        if "schema" not in told or method == "head":
            return answer
        can_fail = status == OK and (method != "get" or operation.get("security") != [])
        kinds = operation.get("produces", self._swagger["produces"])
        return {
            **answer,
            "content": {kind: _media(kind, told["schema"], can_fail=can_fail) for kind in kinds},
        }


def _media(kind: str, schema: Description, *, can_fail: bool) -> Description:
    """Return what an answer of a media type looks like; errors are answers with status 200, in JSON."""
    if kind != JSON:
        return {}
    if schema.get("type") == "file":
        return {"schema": _ERROR}
    wanted = _schema(schema)
    return {"schema": {"anyOf": [wanted, _ERROR]} if can_fail else wanted}


def _parameter(told: Description) -> Description:
    """Return a parameter or a header, its type where OpenAPI looks for it."""
    kept = {name: value for name, value in told.items() if name not in _SCHEMA_KEYS}
    return {**kept, "schema": {name: told[name] for name in _SCHEMA_KEYS if name in told}}


def _form(fields: Iterable[Description], kind: str) -> Description:
    """Return the fields of a body; files come in forms of parts only."""
    return {
        "type": "object",
        "properties": {
            field["name"]: _field(field) for field in fields if field["type"] != "file" or kind == MULTIPART
        },
    }


def _field(told: Description) -> Description:
    described_as = {"description": told["description"]}
    if told["type"] == "file":
        return {**_FILES, **described_as}
    return {**{name: told[name] for name in _SCHEMA_KEYS if name in told}, **described_as}


def _schema(told: Any) -> Any:
    """Return a schema with references and null in the words of OpenAPI 3.1."""
    if isinstance(told, list):
        return [_schema(item) for item in told]
    if not isinstance(told, Mapping):
        return told
    schema = {name: _schema(value) for name, value in told.items() if name != "x-nullable"}
    if isinstance(reference := schema.get("$ref"), str):
        schema["$ref"] = reference.replace("#/definitions/", "#/components/schemas/")
    if told.get("x-nullable"):
        schema["type"] = [schema["type"], "null"]
    return schema
