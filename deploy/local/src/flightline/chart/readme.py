"""``README.md`` of the chart: its values as ``values.yaml`` explains them, and the secrets that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from flightline.chart.services import WORKLOADS

_HEAD = """# flightline

Drone flights become orthophotos, on Kubernetes 1.30 or newer. How to install it, and how to look after it:
[deploying](../../../docs/deploying.md), [operations](../../../docs/operations.md). Written by `make docs`.

## Values

Every service has the same values, here as `services.NAME`. `helm install` says what is wrong with them.

| value | default | |
|---|---|---|
"""
_SECRETS = """
## Secrets

`files/secrets.json` has the same for machines. The chart makes none of them, but by `externalSecrets`.
What is not needed belongs to features that [settings](../../../docs/settings.md) explains.

| variable | read by | named by | |
|---|---|---|---|
"""


def readme(values: str, secrets: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    Args:
        values: The text of ``values.yaml``.
        secrets: What the chart takes from secrets, as ``secrets.json`` has it.
    """
    rows = [
        f"| `{path}` | {_code(default)} | {_cell(text)} |"
        for path, default, text in explained(values)
        if not _is_of_another_service(path)
    ]
    kept = [
        f"| `{each['variable']}` | {_readers(each['readBy'])} | `{each['namedBy']}`"
        f" | {'' if each['optional'] else 'Needed. '}{_cell(each['description'])} |"
        for each in secrets
    ]
    first = next(iter(WORKLOADS))
    listed = "\n".join(rows).replace(f"`services.{first}.", "`services.NAME.")
    return _HEAD + listed + "\n" + _SECRETS + "\n".join(kept) + "\n"


def explained(values: str) -> Iterator[tuple[str, Any, str]]:
    """Yield path, default and explanation of every value that a comment ``# -- …`` stands above."""
    defaults = yaml.safe_load(values)
    keys: list[tuple[int, str]] = []
    said: list[str] = []
    for line in values.splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            said = [text.removeprefix("# -- ")]
        elif text.startswith("#"):
            said = [*said, text.removeprefix("# ")] if said else []
        elif ":" in text and not text.startswith("- "):
            depth = len(line) - len(line.lstrip())
            keys = [*(key for key in keys if key[0] < depth), (depth, text.partition(":")[0])]
            if said:
                path = [key for _, key in keys]
                yield ".".join(path), _at(defaults, path), " ".join(said)
            said = []


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def _readers(names: list[str]) -> str:
    return "all" if len(names) == len(WORKLOADS) else ", ".join(names)


def _is_of_another_service(path: str) -> bool:
    place, _, rest = path.partition(".")
    return place == "services" and "." in rest and rest.partition(".")[0] != next(iter(WORKLOADS))


def _code(default: Any) -> str:
    is_section = isinstance(default, dict) and any(isinstance(each, dict) for each in default.values())
    return "" if is_section else f"`{json.dumps(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
