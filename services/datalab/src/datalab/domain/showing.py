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
    if data := output.get("data_file"):
        yield data["key"]


def shown_output(output: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    """Return an output with URLs instead of keys; ``urls`` has those of all its objects.

    Pictures that only explain data stand with the data, by the image that they explain, as clients expect.
    Of data that are an object, only the URL is shown, with the pictures beside it.
    """
    files, data = output["files"], output["data"] or output.get("data_file")
    shown: dict[str, Any] = {}
    pictures = {image: one for one in files if (image := _explained(one))} if data else {}
    if pictures:
        files = [one for one in files if _explained(one) not in pictures]
    if files:
        shown["output_files"] = [_shown_file(one, urls) for one in files]
    if data:
        shown |= _shown_data(output, urls)
    if pictures:
        explained = {image: urls[one["files"]["diagnostic"]["key"]] for image, one in pictures.items()}
        beside: dict[str, Any] = shown["output_data"][0] if output["data"] else shown
        beside["diagnostic_images"] = explained
    if output.get("provenance"):
        shown["provenance"] = output["provenance"]
    return shown


def _shown_data(output: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    if output["data"]:
        first, *others = output["data"]
        return {"output_data": [dict(first), *others]}
    stored = output["data_file"]
    return {"data_url": urls[stored["key"]], "data_bytes": stored["size_bytes"]}


def _explained(one: Mapping[str, Any]) -> str | None:
    """Return the image that a picture explains; None: it is a result of its own."""
    return one["facts"].get("diagnostic_of") if set(one["files"]) == {"diagnostic"} else None


def _shown_file(one: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    stored = one["files"]
    shown = {**one["facts"], "basename": one["basename"], "source": "datalab", "type": one["type"]}
    for kind, of in stored.items():
        shown[_URLS[kind]] = urls[of["key"]]
    if main := stored.get("fits") or stored.get("tif") or stored.get("large"):
        shown["sha256"], shown["size_bytes"] = main["sha256"], main["size_bytes"]
    if one["comment"]:
        shown["comment"] = one["comment"]
    return shown
