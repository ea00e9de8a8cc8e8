"""The object store and its two adapters."""
