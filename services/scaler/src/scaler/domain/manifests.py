"""The manifests of staged images: what ingest wrote of the originals, and the same of the scaled ones.

Whoever reads the one can read the other; it is written last, and nothing else is to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from scaler.domain.asks import Asks
from scaler.domain.jobs import Frozen, Image
from scaler.domain.pieces import Outcome

Kind = Literal["not-an-image", "truncated", "zero-bytes", "duplicate", "over-limit", "unreadable", "changed"]

_KINDS: dict[str, Kind] = {
    "not-an-image": "not-an-image",
    "truncated": "truncated",
    "zero-bytes": "zero-bytes",
    "too-large": "over-limit",
    "changed": "changed",
}


class ListedFile(Frozen):
    """One file in the object store."""

    path: str
    key: str
    size_bytes: int
    sha256: str | None = None


class LeftOutFile(Frozen):
    """One file that takes no part, and why."""

    path: str
    reason: str
    kind: Kind = "unreadable"
    code: str | None = None
    """The scaler's own reason, where it was the scaler who left it out."""


class Listing(Frozen):
    """A manifest, as far as the scaler reads it; systems outside may write less than ingest does."""

    images: tuple[ListedFile, ...]
    sidecars: tuple[ListedFile, ...] = ()
    rejected: tuple[LeftOutFile, ...] = ()


class Scaling(Frozen):
    """What was done to every image."""

    factor: float
    interpolation: str
    quality: int | None = None
    subsampling: str | None = None


class Manifest(Listing):
    """All files of one version after they were scaled."""

    flight_id: str
    version: str
    scale: Scaling


def images_of(listing: Listing) -> tuple[Image, ...]:
    """Return the images to scale, by path, each path once."""
    by_path = {file.path: file for file in listing.images}
    return tuple(
        Image(path=path, key=file.key, size_bytes=file.size_bytes, sha256=file.sha256)
        for path, file in sorted(by_path.items())
    )


def scaled_manifest(
    flight: tuple[str, str],
    asks: Asks,
    outcomes: Iterable[Outcome],
    *,
    sidecars: Sequence[ListedFile],
    rejected: Sequence[LeftOutFile],
) -> Manifest:
    """Return the manifest of what came out, sorted by path.

    Args:
        flight: Id and version.
        asks: What was done.
        outcomes: Of every image.
        sidecars: As they lie beside the scaled images.
        rejected: What had been left out before.
    """
    images: list[ListedFile] = []
    left_out = [*rejected]
    for outcome in sorted(outcomes, key=lambda one: one.path):
        if outcome.key is None:
            left_out.append(_left_out(outcome))
        else:
            images.append(
                ListedFile(
                    path=outcome.path, key=outcome.key, size_bytes=outcome.size_bytes, sha256=outcome.sha256
                )
            )
    flight_id, version = flight
    return Manifest(
        flight_id=flight_id,
        version=version,
        images=tuple(images),
        sidecars=tuple(sidecars),
        rejected=tuple(left_out),
        scale=Scaling(
            factor=asks.factor,
            interpolation=asks.interpolation.value,
            quality=asks.quality,
            subsampling=asks.subsampling,
        ),
    )


def _left_out(outcome: Outcome) -> LeftOutFile:
    code = outcome.code or "unreadable"
    return LeftOutFile(
        path=outcome.path, reason=outcome.reason or code, kind=_KINDS.get(code, "unreadable"), code=code
    )
