"""Large bodies over HTTP/1.1 in threads: while they receive, hash, encrypt and send, Python's lock is free.

An event loop does all of that on one processor; docs/decisions/0015 has the figures.
"""

from shared.bulk.lane import Bulk, BulkAnswer, open_bulk

__all__ = ["Bulk", "BulkAnswer", "open_bulk"]
