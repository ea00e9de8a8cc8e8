"""Files that came out of an operation."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datalab_client.downloads import Wanted
from datalab_client.errors import InvalidError

ENDINGS: Mapping[str, str] = {
    "fits": ".fits",
    "tif": ".tif",
    "large": "-large.jpg",
    "small": "-small.jpg",
    "diagnostic": "-diagnostic.jpg",
}
"""What files are called here, by the server's word for their kind."""
_HASHED = ("fits", "tif", "large")
"""The server tells size and hash of the first of these that there is."""


@dataclass(frozen=True, slots=True)
class Result:
    """One of the results of an operation, in one or several forms.

    Attributes:
        basename: Names it for further operations.
        type: ``fits`` or ``image``.
        comment: What the server says of it.
        urls: Where it is, by kind: ``fits``, ``tif``, ``large``, ``small``, ``diagnostic``. Whoever has
            one of them can open it for some days.
        told: All that the server says.
    """

    basename: str
    type: str
    comment: str
    urls: Mapping[str, str] = field(repr=False)
    told: Mapping[str, Any] = field(repr=False)

    @property
    def as_input(self) -> dict[str, Any]:
        """Return it as operations and sessions name it."""
        return {"type": "fitsfile", "source": "datalab", "basename": self.basename}

    @property
    def is_image(self) -> bool:
        """Return whether operations can work on it."""
        return not {"fits", "tif"}.isdisjoint(self.urls)

    def kinds(self, wanted: Collection[str] | None) -> list[str]:
        """Return those of the wanted kinds that there are; None: the image, or else its pictures.

        Raises:
            InvalidError: There is no such kind.
        """
        if isinstance(wanted, str):
            wanted = [wanted]
        if unknown := set(wanted or ()) - set(ENDINGS):
            raise InvalidError(
                f"There are no files of kind {', '.join(unknown)}, but of {', '.join(ENDINGS)}."
            )
        if wanted is None:
            return ["fits"] if "fits" in self.urls else [kind for kind in self.urls if kind != "small"]
        return [kind for kind in self.urls if kind in wanted]

    def wanted(self, kind: str, path: Path) -> Wanted:
        """Return what is to be brought to a path, and all that is known of it."""
        if kind != next((one for one in _HASHED if one in self.urls), None):
            return Wanted(self.urls[kind], path)
        return Wanted(self.urls[kind], path, self.told.get("size_bytes"), self.told.get("sha256"))


def results(output: Mapping[str, Any]) -> list[Result]:
    """Return the files of an operation's output, pictures that explain its data among them."""
    first = next(iter(output.get("output_data") or [{}]))
    explaining = first.get("diagnostic_images") or output.get("diagnostic_images") or {}
    pictures = [
        {"basename": name, "type": "image", "diagnostic_url": url} for name, url in explaining.items()
    ]
    return [_result(one) for one in (*(output.get("output_files") or []), *pictures)]


def file_name(stem: str, number: int, of: int, kind: str) -> str:
    """Return what a file is called here; nothing of it is a path, whatever the server says."""
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "result"
    return f"{plain}-{number + 1}{ENDINGS[kind]}" if of > 1 else f"{plain}{ENDINGS[kind]}"


def _result(told: Mapping[str, Any]) -> Result:
    urls = {kind: told[f"{kind}_url"] for kind in ENDINGS if told.get(f"{kind}_url")}
    return Result(str(told["basename"]), str(told.get("type", "")), str(told.get("comment", "")), urls, told)
