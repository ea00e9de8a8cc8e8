"""The documents that scaler owns."""

from shared.state import CollectionSpec, Index

RAW_IMAGES = CollectionSpec(
    "scaler_raw_images",
    (
        Index(("place", "state", "due_s")),
        Index(("place", "state", "attempt")),
        Index(("created_at", "state")),
    ),
)
SWITCHES = CollectionSpec("scaler_switches")

JOBS_SORTED_BY = ("created_at", "updated_at", "name")
JOBS_FILTERED_BY = ("state", "kind", "flight_id")

JOBS = CollectionSpec(
    "scaler_jobs",
    (
        Index(("due_s",)),
        *(Index((field, *JOBS_FILTERED_BY)) for field in JOBS_SORTED_BY),
    ),
)
PIECES = CollectionSpec(
    "scaler_pieces",
    (
        Index(("state", "due_s", "turn_s")),
        Index(("job", "plan", "number")),
    ),
)

COLLECTIONS: tuple[CollectionSpec, ...] = (JOBS, PIECES, RAW_IMAGES, SWITCHES)
