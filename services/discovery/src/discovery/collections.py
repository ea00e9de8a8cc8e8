"""The documents that discovery owns."""

from shared.state import CollectionSpec, Index

FLIGHTS = CollectionSpec(
    "discovery_flights",
    (Index(("state", "updated_at")), Index(("state", "name")), Index(("updated_at",)), Index(("name",))),
)
POSTED = CollectionSpec("discovery_posted")
