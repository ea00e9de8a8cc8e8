"""What came out of an operation, in the form that clients read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_URLS = {
    "fits": "fits_url",
    "large": "large_url",
    "small": "small_url",
    "tif": "tif_url",
    "diagnostic": "diagnostic_url",
}


def keys_of(output: Mapping[str, Any]) -> Iterator[str]:
    """Yield the key of every object of an output, as it is stored; plain JSON, for lists of thousands."""
    for one in output["files"]:
        for stored in one["files"].values():
            yield stored["key"]


def shown_output(output: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    """Return an output with URLs instead of keys; ``urls`` has those of all its objects."""
    shown: dict[str, Any] = {}
    if output["files"]:
        shown["output_files"] = [_shown_file(one, urls) for one in output["files"]]
    if output["data"]:
        shown["output_data"] = list(output["data"])
    if output.get("provenance"):
        shown["provenance"] = output["provenance"]
    return shown


def _shown_file(one: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    stored = one["files"]
    main = next((stored[kind] for kind in ("fits", "tif", "large") if kind in stored), None)
    return {
        **one["facts"],
        "basename": one["basename"],
        "source": "datalab",
        "type": one["type"],
        **{name: urls[stored[kind]["key"]] for kind, name in _URLS.items() if kind in stored},
        **({"sha256": main["sha256"], "size_bytes": main["size_bytes"]} if main else {}),
        **({"comment": one["comment"]} if one["comment"] else {}),
    }
