"""What the mover answers over HTTP."""

from mover.routes import moves

ROUTERS = (moves.router,)

__all__ = ["ROUTERS"]
