"""``values.schema.json``: written by hand in ``values.schema.yaml``, but for what settings say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from pydantic_settings import BaseSettings

from flightline.chart.services import OWNED, WORKLOADS, is_secret, settings_of
from shared.setting_faults import variable

Schema = dict[str, Any]

DURATION: Schema = {
    "type": ["string", "number"],
    "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+(\\.[0-9]+)?s)?$",
    "minLength": 1,
    "minimum": 0,
}
_SECRET_KEY: Schema = {"$ref": "#/definitions/secretKey"}
_AGENT_SECRET: Schema = {"$ref": "#/definitions/agentSecret"}
_OF_BACKENDS = ("FLIGHTLINE_BUS", "FLIGHTLINE_STATE", "FLIGHTLINE_S3_ACCESS_KEY", "FLIGHTLINE_S3_SECRET_KEY")
_REQUIRED = "#/definitions/destination"
"""Definition of what the default values have whole."""
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def values_schema(written: Path, values: Path) -> Schema:
    """Return the whole schema.

    Args:
        written: The part that is written by hand; every service's settings are added.
        values: The default values: what is there may be changed, but not be taken away by a null.
    """
    schema: Schema = yaml.safe_load(written.read_text(encoding="utf-8"))
    service = schema["definitions"].pop("service")
    schema["properties"]["services"]["properties"] = {name: _service(service, name) for name in WORKLOADS}
    _require(schema, yaml.safe_load(values.read_text(encoding="utf-8")), schema["definitions"])
    families = {"platform", *(workload.command[0] for workload in WORKLOADS.values())}
    for name in sorted(families):
        schema["definitions"][f"{name}-settings"] = _open_settings(settings_of(name))
        schema["definitions"][f"{name}-secrets"] = _secrets(
            settings_of(name), {"$ref": "#/definitions/secretKey"}
        )
    schema["definitions"]["dev-secrets"] = _all_secrets({"type": "string", "minLength": 1})
    schema["definitions"]["agent-secrets"] = _all_secrets(_AGENT_SECRET, *_OF_BACKENDS)
    return schema


def _service(service: Schema, name: str) -> Schema:
    """Return a schema of its own for each: said by ``allOf``, faults would be told less plainly."""
    family = WORKLOADS[name].command[0]
    own = {part: {"$ref": f"#/definitions/{family}-{part}"} for part in ("settings", "secrets")}
    return copy.deepcopy(service) | {"properties": copy.deepcopy(service["properties"]) | own}


def _require(schema: Schema, defaults: Schema, definitions: Schema) -> None:
    known = schema.get("properties", {})
    if known and defaults:
        schema["required"] = sorted(defaults)
    for name, default in defaults.items():
        inner = known.get(name, {})
        found = definitions[_REQUIRED.rpartition("/")[2]] if inner.get("$ref") == _REQUIRED else inner
        if isinstance(default, dict) and found.get("properties"):
            _require(found, default, definitions)


def _open_settings(settings: type[BaseSettings]) -> Schema:
    schema = settings.model_json_schema()
    properties = {
        variable(settings, name): _value(settings, name, schema)
        for name in settings.model_fields
        if not is_secret(settings, name) and variable(settings, name) not in OWNED
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _secrets(settings: type[BaseSettings], each: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": _secret_names(settings, each)}


def _secret_names(settings: type[BaseSettings], each: Schema) -> Schema:
    return {
        variable(settings, name): each
        for name in settings.model_fields
        if is_secret(settings, name) and variable(settings, name) not in OWNED
    }


def _all_secrets(each: Schema, *more: str) -> Schema:
    properties = dict.fromkeys(more, each)
    for name in ("platform", *WORKLOADS):
        properties |= _secret_names(settings_of(name), each)
    return {"type": "object", "additionalProperties": False, "properties": dict(sorted(properties.items()))}


def _value(settings: type[BaseSettings], name: str, schema: Schema) -> Schema:
    field = settings.model_fields[name]
    said = {"description": field.description or ""}
    annotation = str(field.annotation)
    if "timedelta" in annotation and "tuple" not in annotation:
        return said | DURATION
    return said | _plain(schema["properties"][name], schema.get("$defs", {}))


def _plain(schema: Schema, definitions: Schema) -> Schema:
    """Return what one variable may be: numbers and truths as such, all else as text."""
    if reference := schema.get("$ref"):
        return _plain(definitions[reference.rsplit("/", 1)[1]], definitions)
    if choices := [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]:
        return _plain(choices[0], definitions)
    limits = {limit: schema[limit] for limit in _LIMITS if limit in schema}
    match schema.get("type"):
        case "integer" | "number" | "boolean" as kind:
            return {"type": kind, **limits}
        case _ if "enum" in schema:
            return {"enum": schema["enum"]}
        case _:
            return {"type": ["string", "number"]}
