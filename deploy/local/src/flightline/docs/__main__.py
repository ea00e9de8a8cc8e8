"""Write the generated pages, or with ``--check`` say which of them are not as the code has them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flightline.docs.events_page import events_page
from flightline.docs.metrics_page import metrics_page
from flightline.docs.settings_page import settings_page
from shared.events import EVENT_TYPES
from shared.events.asyncapi import asyncapi_document
from shared.events.compatibility import breaking_changes
from shared.events.schemas import event_schema, stored_path, stored_schema

ROOT = Path(__file__).resolve().parents[5]


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if all is as it should be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m flightline.docs", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail if a page is not up to date"
    )
    check = parser.parse_args(arguments).check
    if broken := [change for event in EVENT_TYPES for change in _broken_promises(event)]:
        _say("Events may only be added to. Publish what differs as a new type beside the old one:", *broken)
        return 1
    stale = [path for path, text in generated_pages().items() if _text(path) != text]
    if check and stale:
        _say("Not as the code has them; run make docs:", *(str(path.relative_to(ROOT)) for path in stale))
    elif not check:
        _write(stale)
    return int(check and bool(stale))


def generated_pages() -> dict[Path, str]:
    """Return every generated file and what belongs into it."""
    pages = {stored_path(event): _json(event_schema(event)) for event in EVENT_TYPES}
    pages[ROOT / "docs" / "asyncapi.json"] = _json(asyncapi_document())
    pages[ROOT / "docs" / "events.md"] = events_page()
    pages[ROOT / "docs" / "settings.md"] = settings_page()
    pages[ROOT / "docs" / "metrics.md"] = metrics_page()
    return pages


def _broken_promises(event: Any) -> list[str]:
    promised = stored_schema(event)
    changes = breaking_changes(promised, event_schema(event)) if promised else []
    return [f"{event.type}: {change}" for change in changes]


def _write(paths: list[Path]) -> None:
    pages = generated_pages()
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
        _say(f"wrote {path.relative_to(ROOT)}")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
