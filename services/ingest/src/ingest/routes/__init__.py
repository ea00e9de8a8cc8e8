"""What ingest answers over HTTP, by topic."""

from ingest.routes import steering, transfers

ROUTERS = (transfers.router, steering.router)

__all__ = ["ROUTERS"]
