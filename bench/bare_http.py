"""The least that an answer of given bytes costs on our HTTP server: an application that does nothing else.

python -m bench.bare_http PORT FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp

from shared.service.serving import new_event_loop


def main() -> None:
    """Serve until killed."""
    port, content = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    app: ASGIApp = Response(content, media_type="application/json")
    config = uvicorn.Config(app, port=port, lifespan="off", log_level="error", access_log=False)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
