"""Machine code that came with the installation, so that no new pod compiles before it computes.

numba keeps what it has compiled in a folder that it can write to, for one kind of processor. An image brings
such a folder (``compile_ahead``), for all processors of the last ten years; it is copied to where a worker
keeps its own. On an older processor it is left alone, and loops are compiled when they are first called, as
without an image.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ValidationError

BROUGHT: Final = Path(sys.prefix) / "share" / "datalab" / "compiled"
ABOUT: Final = "about.json"
_PROCESSORS: Final = Path("/proc/cpuinfo")

log = structlog.get_logger(__name__)


class About(BaseModel):
    """What machine code is for."""

    name: str
    """Another one for each image, so that a folder that outlives one has the code of the next."""
    environment: dict[str, str]
    """Variables by which numba takes it for its own."""
    needs: frozenset[str]
    """Abilities of a processor that it uses, as Linux calls them."""


def numba_environment(folder: Path, brought: Path = BROUGHT) -> dict[str, str]:
    """Return the variables by which numba keeps code in ``folder``; what was brought is then there, too."""
    about = _usable(brought)
    if about is None:
        return {"NUMBA_CACHE_DIR": str(folder)}
    own = folder / about.name
    try:
        _bring(brought, own)
    except OSError as error:
        log.warning("machine_code.not_brought", folder=str(own), error=str(error))
        return {"NUMBA_CACHE_DIR": str(folder)}
    return {"NUMBA_CACHE_DIR": str(own), **about.environment}


def _usable(brought: Path) -> About | None:
    try:
        about = About.model_validate_json((brought / ABOUT).read_bytes())
        abilities = _PROCESSORS.read_text().split() if about.needs else []
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("machine_code.unusable", folder=str(brought), error=str(error))
        return None
    return about if about.needs <= frozenset(abilities) else None


def _bring(brought: Path, own: Path) -> None:
    """Copy it as a whole, or not at all: another process may be reading there."""
    if own.exists():
        return
    own.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own.parent, ignore_cleanup_errors=True) as folder:
        copy = shutil.copytree(brought, Path(folder) / own.name)
        try:
            copy.rename(own)
        except OSError:
            if not own.exists():  # another process was first
                raise
