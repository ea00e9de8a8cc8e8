"""Opens the document store that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import InvalidInputError
from shared.redaction import redact_text
from shared.sqlite import open_database
from shared.state.port import Store
from shared.state.sqlite import SqliteStore


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Open the store at ``url``: ``sqlite:///folder/state.db`` or ``mongodb://server/database``.

    Raises:
        InvalidInputError: The URL names no such store.
        DamagedError: The file is no SQLite database, or a damaged one; it is left as it is.
        TransientError: The server did not answer within five seconds.
        PermanentError: The server refused us, or the extra ``shared[mongo]`` is not installed.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            async with open_database(sqlite_path(url)) as database:
                yield SqliteStore(database)
        case "mongodb" | "mongodb+srv":
            from shared.state.mongo import open_mongo  # noqa: PLC0415 - motor comes with an extra

            async with open_mongo(url) as store:
                yield store
        case scheme:
            raise InvalidInputError(
                f"no document store is reached by {scheme or 'no scheme'}: use sqlite:///… or mongodb://…",
                field="url",
            )


def sqlite_path(url: str) -> Path:
    """Return the file that a ``sqlite:///absolute/path`` URL names.

    Raises:
        InvalidInputError: It names none.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "sqlite" or parts.netloc or not path.is_absolute() or path.name == "":
        shown = redact_text(url)
        raise InvalidInputError(f"{shown}: write sqlite:///absolute/path/file.db", field="url", value=shown)
    return path
