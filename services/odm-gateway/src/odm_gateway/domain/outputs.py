"""What a job of photogrammetry must have made, and which of it is worth a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from odm_gateway.domain.assets import ARCHIVE, product_path
from shared.events import Option

ORTHOPHOTO = "odm_orthophoto/odm_orthophoto.tif"
SURFACE, TERRAIN = "odm_dem/dsm.tif", "odm_dem/dtm.tif"
SINGLE_ASSETS_AT_MOST = 1_000
"""Beyond, the pieces of tiled products are in the archive only: lists of assets travel in events."""
_ALL = frozenset({"", "all"})
_LAST_STAGES = frozenset({"", "odm_report", "odm_postprocess"})
_TILED = frozenset(
    {
        "dsm_tiles", "dtm_tiles", "orthophoto_tiles", "potree_pointcloud", "entwine_pointcloud", "3d_tiles",
    }
)  # fmt: skip


def required_products(options: Iterable[Option], outputs: Sequence[str]) -> tuple[str, ...]:
    """Return what a good end includes; an engine that ends well without it has failed.

    Args:
        options: Those of the task; some have ODM end early or leave things out.
        outputs: What the client wants in its archive; then it knows best.
    """
    values = {option.name: option.value for option in options}
    is_whole = values.get("end-with", "") in _LAST_STAGES and values.get("merge", "") in _ALL
    if outputs or not is_whole:
        return (ARCHIVE,)
    wanted = {
        ORTHOPHOTO: values.get("skip-orthophoto") is not True,
        SURFACE: values.get("dsm") is True,
        TERRAIN: values.get("dtm") is True,
    }
    return (ARCHIVE, *(path for path, is_wanted in wanted.items() if is_wanted))


def missing_products(assets: Iterable[str], options: Iterable[Option], outputs: Sequence[str]) -> str | None:
    """Return why a run that ended well has failed after all, or None."""
    there = set(assets)
    missing = [path for path in required_products(options, outputs) if path not in there]
    return f"Processing ended without {', '.join(missing)}." if missing else None


def single_assets(assets: Iterable[str]) -> tuple[str, ...]:
    """Return the assets to be stored one by one, out of all that were made; the archive has all of them."""
    known = [asset for asset in assets if product_path(asset) == asset]
    if len(known) > SINGLE_ASSETS_AT_MOST:
        known = [asset for asset in known if asset.split("/")[0] not in _TILED]
    textures_last = sorted(known, key=lambda asset: (asset.startswith("odm_texturing/"), asset))
    return tuple(sorted(textures_last[:SINGLE_ASSETS_AT_MOST]))
