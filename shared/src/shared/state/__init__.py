"""The store of versioned documents."""

from shared.state.documents import Change, Collection, Document, Documents, LeaseLostError, if_changed
from shared.state.port import (
    AlreadyExistsError,
    Between,
    CollectionSpec,
    Index,
    OneOf,
    Order,
    RevisionError,
    Store,
    Where,
)

__all__ = [
    "AlreadyExistsError",
    "Between",
    "Change",
    "Collection",
    "CollectionSpec",
    "Document",
    "Documents",
    "Index",
    "LeaseLostError",
    "OneOf",
    "Order",
    "RevisionError",
    "Store",
    "Where",
    "if_changed",
]
