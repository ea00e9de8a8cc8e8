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
    """Return an output with URLs instead of keys; ``urls`` has those of all its objects.

    Pictures that only explain data stand with the data, by the image that they explain, as clients expect.
    """
    shown: dict[str, Any] = {}
    pictures = {_explained(one): one for one in output["files"] if _explained(one)} if output["data"] else {}
    if files := [one for one in output["files"] if _explained(one) not in pictures]:
        shown["output_files"] = [_shown_file(one, urls) for one in files]
    if output["data"]:
        shown["output_data"] = list(output["data"])
    if pictures:
        explained = {image: urls[one["files"]["diagnostic"]["key"]] for image, one in pictures.items()}
        shown["output_data"][0] = {**shown["output_data"][0], "diagnostic_images": explained}
    if output.get("provenance"):
        shown["provenance"] = output["provenance"]
    return shown


def _explained(one: Mapping[str, Any]) -> str | None:
    """Return the image that a picture explains; None: it is a result of its own."""
    return one["facts"].get("diagnostic_of") if set(one["files"]) == {"diagnostic"} else None


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
