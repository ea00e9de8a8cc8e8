"""The documents that ingest owns."""

from shared.state import CollectionSpec, Index

SORTED_BY = ("created_at", "updated_at", "name", "amounts.bytes_total")
FILTERED_BY = ("state", "flight_id", "owner", "system_id")

TRANSFERS = CollectionSpec(
    "ingest_transfers",
    (
        Index(("state", "due_s")),
        Index(("flight_id", "created_at")),
        *(Index((field, *FILTERED_BY)) for field in SORTED_BY),
    ),
)
# Not called "…_files": what emulates MongoDB may take a collection of such a name for GridFS's own.
JOURNAL = CollectionSpec(
    "ingest_journal",
    (
        Index(("transfer",)),
        Index(("transfer", "state")),
        Index(("sha256", "owner", "state")),
    ),
)
