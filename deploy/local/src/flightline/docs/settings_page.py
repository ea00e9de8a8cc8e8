"""``docs/settings.md``: every environment variable of every service."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from datalab.config import Settings as DatalabSettings
from discovery.config import Settings as DiscoverySettings
from flightline.docs.schema_text import cell, limit_words, type_words
from ingest.config import Settings as IngestSettings
from mover.config import Settings as MoverSettings
from odm_gateway.config import Settings as OdmGatewaySettings
from scaler.config import Settings as ScalerSettings
from shared.durations import format_duration
from shared.setting_faults import variable
from shared.settings import PlatformSettings

SETTINGS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("All services", PlatformSettings),
    ("discovery", DiscoverySettings),
    ("ingest", IngestSettings),
    ("scaler", ScalerSettings),
    ("mover", MoverSettings),
    ("datalab", DatalabSettings),
    ("odm-gateway", OdmGatewaySettings),
)

_HEAD = """\
<!-- Written by make docs from the settings classes; do not edit. -->
# Settings

Settings are environment variables. Durations are written `30s`, `5m`, `1h30m`, `PT5M`, or as a number of
seconds. A secret, and the URLs of broker and document store, may be a reference, resolved once at the start:
`env:NAME` is another variable, `file:/path` the content of a file, `vault:mount/path#key` what Vault holds
([secrets.md](secrets.md)). What cannot be used stops the start with one line per variable, and no secret in
it; a variable that looks like a misspelt setting is warned about.
"""


def settings_page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(_section(title, settings) for title, settings in SETTINGS)])


def _section(title: str, settings: type[BaseSettings]) -> str:
    schema = settings.model_json_schema()
    definitions = schema.get("$defs", {})
    rows = [
        _row(variable(settings, name), field, schema["properties"][name], definitions)
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(
        [f"## {title}", "", "| variable | value | default | meaning |", "|---|---|---|---|", *rows, ""]
    )


def _row(name: str, field: FieldInfo, schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    kind, limits = _kind(field, schema, definitions), limit_words(schema, definitions)
    value = f"{kind}, {limits}" if limits else kind
    return f"| `{name}` | {cell(value)} | {cell(_default(field))} | {cell(field.description or '')} |"


def _kind(field: FieldInfo, schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    annotation = str(field.annotation)
    if "SecretStr" in annotation:
        return "secret"
    if "timedelta" in annotation:
        return "durations with commas" if "tuple" in annotation else "duration"
    return type_words(schema, definitions).removesuffix(" or null").replace("string", "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is None:
        return _shown(field.default)
    if field.default_factory_takes_validated_data:
        return f"`{field.default_factory({'home': Path('$FLIGHTLINE_HOME')})}`".replace("///", "//")  # type: ignore[call-arg]
    return "the platform's"


def _shown(value: object) -> str:
    match value:
        case None | "" | ():
            return ""
        case timedelta():
            return f"`{format_duration(value)}`"
        case tuple() | list():
            return f"`{','.join(_shown(each).strip('`') for each in value)}`"
        case SecretStr():
            return "(hidden)"
        case _:
            return f"`{value}`"
