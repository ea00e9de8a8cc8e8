"""The documents that the HTTP interface owns, and how they are found."""

from __future__ import annotations

from shared.state import CollectionSpec, Index

SESSIONS = CollectionSpec(
    "datalab_sessions",
    (
        Index(("owner", "removing", "modified_us")),
        Index(("owner", "removing", "created_us", "modified_us")),
        Index(("owner", "removing", "name", "created_us", "modified_us")),
        Index(("removing", "modified_us")),
        Index(("flight", "owner")),
    ),
)
"""Bodies are ``domain.sessions.DataSession``."""
OPERATIONS = CollectionSpec(
    "datalab_operations",
    (
        Index(("session", "number")),
        Index(("key", "state")),
        Index(("owner", "state", "number")),
        Index(("owner", "ended_us")),
        Index(("state", "number")),
    ),
)
"""Bodies are ``domain.asked.AskedOperation``."""
UPLOADS = CollectionSpec(
    "datalab_uploads",
    (Index(("owner", "basename"), unique=True), Index(("owner", "created_us")), Index(("key",))),
)
"""Bodies are ``domain.uploads.Upload``."""
RECIPES = CollectionSpec(
    "datalab_recipes",
    (Index(("owner", "modified_us")), Index(("owner", "name", "modified_us"))),
)
"""Bodies are ``domain.recipes.Recipe``."""
RUNS = CollectionSpec(
    "datalab_runs",
    (
        Index(("owner", "number")),
        Index(("owner", "recipe", "number")),
        Index(("owner", "session", "number")),
        Index(("owner", "session", "recipe", "number")),
        Index(("owner", "state")),
        Index(("session", "state")),
        Index(("due_s",)),
    ),
)
"""Bodies are ``domain.runs.Run``."""
RUNS_MADE_OF = CollectionSpec("datalab_runs_made_of")
"""Bodies are ``domain.runs.Made``; a document's name is its run's."""
USERS = CollectionSpec("datalab_users", (Index(("created_us",)),))
"""Bodies are ``domain.users.User``; a document's name is the user's."""
TOKENS = CollectionSpec("datalab_tokens", (Index(("user", "created_us")),))
"""Bodies are ``domain.users.Token``; a document's name is the token's SHA-256."""
COUNTERS = CollectionSpec("datalab_counters")
"""The last number that was given, by kind."""
