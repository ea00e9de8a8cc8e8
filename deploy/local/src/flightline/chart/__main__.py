"""Write what the chart takes from the code, or with ``--check`` say what of it is not as the code has it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flightline.chart.dashboards import DASHBOARDS, dashboard
from flightline.chart.facts import facts, secrets
from flightline.chart.readme import readme
from flightline.chart.schema import values_schema

ROOT = Path(__file__).resolve().parents[5]
CHART = ROOT / "deploy" / "helm" / "flightline"
WRITTEN = CHART / "values.schema.yaml"
VALUES = CHART / "values.yaml"
TEMPLATE = ROOT / "deploy" / "argo" / "odm-standard.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all is as it should be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m flightline.chart", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail if a file is not up to date"
    )
    check = parser.parse_args(arguments).check
    stale = [path for path, text in generated_files().items() if _text(path) != text]
    for path in stale:
        if not check:
            path.write_text(generated_files()[path], encoding="utf-8")
        said = "not as the code has it; run make docs:" if check else "wrote"
        sys.stdout.write(f"{said} {path.relative_to(ROOT)}\n")
    return int(check and bool(stale))


def generated_files() -> dict[Path, str]:
    """Return every generated file of the chart and what belongs into it."""
    return {
        CHART / "values.schema.json": _json(values_schema(WRITTEN, VALUES)),
        CHART / "files" / "facts.json": _json(facts()),
        CHART / "files" / "secrets.json": _json({"secrets": secrets()}),
        **{CHART / "files" / "dashboards" / f"{name}.json": _json(dashboard(name)) for name in DASHBOARDS},
        CHART / "README.md": readme(VALUES.read_text(encoding="utf-8"), secrets()),
        CHART / "files" / "odm-standard.yaml": TEMPLATE.read_text(encoding="utf-8"),
    }


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
