"""What scaler answers over HTTP, by topic."""

from scaler.routes import jobs, scaling, steering, webdav

ROUTERS = (scaling.router, jobs.router, steering.router, webdav.router)

__all__ = ["ROUTERS"]
