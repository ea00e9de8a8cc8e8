"""What datalab answers over HTTP."""

from datalab.routes import (
    admin,
    analysis,
    available,
    operations,
    profile,
    progress,
    recipes,
    results,
    runs,
    sessions,
    uploads,
)

ROUTERS = (
    sessions.router,
    operations.router,
    progress.router,
    available.router,
    analysis.router,
    uploads.router,
    runs.router,
    recipes.router,
    profile.router,
    admin.router,
    results.router,
)

__all__ = ["ROUTERS"]
