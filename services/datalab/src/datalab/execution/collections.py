"""The documents that the execution owns, besides the operations that it shares with the HTTP interface."""

from __future__ import annotations

from shared.state import CollectionSpec, Index

COMPUTATIONS = CollectionSpec(
    "datalab_computations",
    (
        Index(("state", "due_s")),
        Index(("state", "called_s")),
        Index(("state", "turn")),
        Index(("asked_by", "state", "turn")),
    ),
)
"""Bodies are ``domain.computations.Computation``; a document's name is the key."""

COLLECTIONS = (COMPUTATIONS,)
