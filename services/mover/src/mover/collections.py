"""The documents that the mover owns."""

from shared.state import CollectionSpec, Index

SORTED_BY = ("created_at", "updated_at", "name", "size_bytes")
FILTERED_BY = ("state", "category", "why")

MOVES = CollectionSpec(
    "mover_moves",
    (
        Index(("place", "state")),
        *(Index((field, *FILTERED_BY)) for field in SORTED_BY),
    ),
)
SCHEDULE = CollectionSpec("mover_schedule")
