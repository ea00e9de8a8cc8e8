"""What datalab answers over HTTP."""

from datalab.routes import admin, analysis, available, operations, profile, results, sessions, uploads

ROUTERS = (
    sessions.router,
    operations.router,
    available.router,
    analysis.router,
    uploads.router,
    profile.router,
    admin.router,
    results.router,
)

__all__ = ["ROUTERS"]
