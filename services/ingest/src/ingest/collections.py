"""The documents that ingest owns."""

from shared.state import CollectionSpec, Index

TRANSFERS = CollectionSpec("ingest_transfers", (Index(("state", "due_s")), Index(("created_at",))))
JOURNAL = CollectionSpec("ingest_files", (Index(("transfer",)), Index(("transfer", "state"))))
