"""The documents that discovery owns."""

from shared.state import CollectionSpec, Index

FLIGHTS = CollectionSpec(
    "discovery_flights",
    (
        Index(("state", "updated_at")),
        Index(("state", "name")),
        Index(("updated_at",)),
        Index(("name",)),
        Index(("owner", "state", "system_id", "name", "updated_at")),
    ),
)
POSTED = CollectionSpec("discovery_posted")
PROJECTS = CollectionSpec(
    "discovery_projects",
    (
        Index(("flight_id",)),
        Index(("project_id",)),
        Index(("owner", "state", "created_at")),
        Index(("owner", "is_shared", "created_at")),
        Index(("state", "created_at")),
        Index(("due_s",)),
    ),
)
COUNTERS = CollectionSpec("discovery_counters")
NOTICES = CollectionSpec(
    "discovery_notifications",
    (
        Index(("due_s",)),
        Index(("state", "owner", "happened_at")),
        Index(("owner", "happened_at")),
        Index(("happened_at",)),
    ),
)
LOGINS = CollectionSpec("discovery_tapis_logins")
OAUTH_STATES = CollectionSpec("discovery_oauth_states")
SESSIONS = CollectionSpec("discovery_sessions", (Index(("owner",)),))
PLANS = CollectionSpec("discovery_preferences", (Index(("due_s",)),))
