"""One point of the ground seen in several photos: matches of pairs joined to tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .features import Features
    from .matching import Match
    from .models import Floats

_GRID: Final = 8


@dataclass(frozen=True, slots=True)
class Tracks:
    """Observations sorted by track; tracks are numbered from 0 without gaps."""

    track: NDArray[np.int64]
    """(observations,)."""
    photo: NDArray[np.int64]
    """(observations,)."""
    feature: NDArray[np.int64]
    """(observations,) index among the features of the photo."""
    points: Floats
    """(observations, 2) offset from the image centre over the longer side."""

    @property
    def count(self) -> int:
        """Number of tracks."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    def lengths(self) -> NDArray[np.int64]:
        """Return (tracks,) how many photos see each."""
        return np.bincount(self.track, minlength=self.count)

    def keep(self, observations: NDArray[np.bool_]) -> Tracks:
        """Return these observations only, without tracks that fewer than two of them are left of."""
        lengths = np.bincount(self.track[observations], minlength=self.count)
        kept = observations & (lengths[self.track] > 1)
        _, renumbered = np.unique(self.track[kept], return_inverse=True)
        return Tracks(renumbered, self.photo[kept], self.feature[kept], self.points[kept])


def build_tracks(features: Sequence[Features], matches: Sequence[Match]) -> Tracks:
    """Join matches that share a feature; a track that meets one photo twice is false and left out."""
    offset = np.concatenate([[0], np.cumsum([len(one.points) for one in features])])
    first = np.concatenate([offset[match.first] + match.pairs[:, 0] for match in matches])
    second = np.concatenate([offset[match.second] + match.pairs[:, 1] for match in matches])
    links = csr_matrix((np.ones(len(first), np.int8), (first, second)), shape=(offset[-1], offset[-1]))
    _, label = connected_components(links, directed=False)
    seen = np.unique(np.concatenate([first, second]))
    seen = seen[np.argsort(label[seen], kind="stable")]
    photo = np.searchsorted(offset, seen, side="right") - 1
    _, track = np.unique(label[seen], return_inverse=True)
    points = np.concatenate([one.points for one in features])[seen].astype(np.float64)
    tracks = Tracks(track, photo, seen - offset[photo], points)
    return tracks.keep(~_meets_photo_twice(tracks)[tracks.track])


def _meets_photo_twice(tracks: Tracks) -> NDArray[np.bool_]:
    visits = np.unique(np.column_stack([tracks.track, tracks.photo]), axis=0)[:, 0]
    return np.bincount(visits, minlength=tracks.count) < tracks.lengths()


def select_balanced(tracks: Tracks, per_photo: int) -> NDArray[np.bool_]:
    """Choose tracks for the adjustment: long ones first, evenly over each photo, about ``per_photo`` in it.

    Returns:
        (tracks,) whether to use each.
    """
    cells = np.clip(((tracks.points + 0.5) * _GRID).astype(int), 0, _GRID - 1)
    cell = (tracks.photo * _GRID + cells[:, 0]) * _GRID + cells[:, 1]
    order = np.lexsort((tracks.track, -tracks.lengths()[tracks.track], cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    rank = np.empty(len(cell), np.int64)
    rank[order] = np.arange(len(cell)) - np.repeat(starts, np.diff(starts, append=len(cell)))
    used_cells = np.bincount(np.unique(cell) // _GRID**2, minlength=int(tracks.photo.max()) + 1)
    quota = per_photo / np.maximum(used_cells, 1)
    leading = rank < quota[tracks.photo]
    return np.bincount(tracks.track, weights=leading, minlength=tracks.count) >= 2  # noqa: PLR2004 - two rays
