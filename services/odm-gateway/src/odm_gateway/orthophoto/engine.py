"""The whole engine: a folder of photos becomes a finished project, or a refusal that says why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import cv2

from . import products
from .archive import write_archive
from .cog import RasterFrame, new_map, read_rgba, write_png
from .console import Console
from .files import sweep, write_bytes
from .models import CanceledError, EngineError
from .mosaic import plan_mosaic, render, tile_windows
from .reconstruct import reconstruct
from .report import facts, left_out_lines, report_pdf
from .space import bytes_for_map, bytes_for_run, check_space, full_disk_refused
from .stats import Run, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .models import Block, Progress, Surface
    from .mosaic import Plan
    from .options import EngineOptions

_ORTHO_PERCENT: Final = 84.0
_PACK_PERCENT: Final = 92.0
_PUBLISH_PERCENT: Final = 94.0
_PREVIEW_PX: Final = 2048
_ASKED_PREVIEW_PX: Final = 4096
_REPORT_PX: Final = 1400


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished project: its files, relative to the project's folder, and figures for people."""

    assets: tuple[str, ...]
    summary: dict[str, object]


def run(
    image_dir: Path,
    project_dir: Path,
    options: EngineOptions,
    progress: Progress,
    *,
    ignored: Sequence[str] = (),
) -> Outcome:
    """Map the photos of ``image_dir`` into ``project_dir``; a run that was stopped goes on where it can.

    ``ignored`` names options that were asked for and do not exist here; the console says so.

    Raises:
        EngineError: The photos cannot become an orthophoto, or the disk is too full.
        CanceledError: ``progress`` asked to stop.
    """
    project_dir.mkdir(parents=True, exist_ok=True)
    sweep(project_dir)
    # Whoever finds these two believes the project to be finished.
    for closing in (products.ARCHIVE, products.LOG):
        (project_dir / closing).unlink(missing_ok=True)
    cv2.setNumThreads(1)
    with (project_dir / products.CONSOLE).open("w", encoding="utf-8") as file:
        console = Console(file, progress)
        try:
            with full_disk_refused(project_dir):
                return _run(image_dir, project_dir, options, console, ignored)
        except BaseException as error:
            _say_failed(project_dir, options, console, error)
            raise


def _run(
    image_dir: Path, project_dir: Path, options: EngineOptions, console: Console, ignored: Sequence[str]
) -> Outcome:
    console("scan", 0.0, f"{products.PROCESSOR} {_version()}, {options.max_concurrency} threads")
    for name in ignored:
        console("scan", 0.0, f"Option {name} is not done by this engine and is ignored.")
    if not image_dir.is_dir():
        raise EngineError("TOO_FEW_IMAGES", f"There is no folder {image_dir}.")
    check_space(project_dir, bytes_for_run(image_dir, options.max_canvas_megapixels))
    block, surface = reconstruct(image_dir, project_dir / "work", options, console)
    return publish(block, surface, project_dir, options, console, ignored=ignored)


def publish(
    block: Block, surface: Surface, project_dir: Path, options: EngineOptions, console: Console,
    *, ignored: Sequence[str] = (),
) -> Outcome:  # fmt: skip
    """Draw the map of an adjusted block and write every product.

    Raises:
        EngineError: ``NO_OVERLAP``, ``NO_SPACE`` or ``UNREADABLE``.
        CanceledError: ``console`` was asked to stop.
    """
    console("ortho", _ORTHO_PERCENT)
    plan = plan_mosaic(block, surface, options)
    warnings = (*block.warnings, *plan.warnings)
    for warning in warnings:
        console("ortho", _ORTHO_PERCENT, f"WARNING: {warning}")
    check_space(project_dir, bytes_for_map(plan.canvas.width * plan.canvas.height))
    _draw(block, plan, project_dir / products.ORTHOPHOTO, options, console)
    console("publish", _PUBLISH_PERCENT)
    result = Run(
        block, plan.canvas, plan.cover.area_m2, plan.photo_pixel_m, warnings,
        console.seconds(), datetime.now(UTC), tuple(ignored),
    )  # fmt: skip
    assets = _write_products(result, plan, project_dir, options)
    for name, value in facts(result):
        console("publish", 97.0, f"{name}: {value}")
    for line in left_out_lines(result, len(block.left_out)):
        console("publish", 97.0, f"Left out: {line}")
    return _close(result, assets, project_dir, options, console)


def _draw(block: Block, plan: Plan, target: Path, options: EngineOptions, console: Console) -> None:
    canvas = plan.canvas
    size = f"{canvas.width} x {canvas.height} pixels of {canvas.pixel_m * 100:.1f} cm"
    console("ortho", _ORTHO_PERCENT, f"drawing {size}")
    tags = {"PROCESSOR": products.PROCESSOR}
    frame = RasterFrame(canvas.width, canvas.height, canvas.transform(block.origin), block.epsg)
    tiles = len(tile_windows(canvas))
    with new_map(target, frame, tags, options.max_concurrency) as draft:
        for done, (window, tile) in enumerate(render(plan, options.max_concurrency), start=1):
            if tile is not None:
                draft.write(tile, *window[:2])
            console("ortho", _ORTHO_PERCENT + (_PACK_PERCENT - _ORTHO_PERCENT) * done / tiles)


def _write_products(result: Run, plan: Plan, project_dir: Path, options: EngineOptions) -> list[str]:
    """Write everything but the archive and the logs; return their names."""
    block = result.block
    preview_px = _ASKED_PREVIEW_PX if options.orthophoto_png else _PREVIEW_PX
    preview = read_rgba(project_dir / products.ORTHOPHOTO, preview_px)
    write_png(project_dir / products.PREVIEW, preview)
    documents = {
        products.CAMERAS: products.cameras(block),
        products.IMAGES: products.images(block),
        products.SHOTS: products.shots(block),
        products.STATS: statistics(result),
    }
    for name, content in documents.items():
        products.write_json(project_dir / name, content)
    assets = [products.ORTHOPHOTO, products.PREVIEW, *documents]
    if options.dsm:
        target = project_dir / products.SURFACE_MODEL
        products.write_surface_model(target, block, plan.surface, plan.cover)
        assets.append(products.SURFACE_MODEL)
    if not options.skip_report:
        small = read_rgba(project_dir / products.ORTHOPHOTO, _REPORT_PX)
        write_bytes(project_dir / products.REPORT, report_pdf(result, small))
        assets.append(products.REPORT)
    return assets


def _close(
    result: Run, assets: list[str], project_dir: Path, options: EngineOptions, console: Console
) -> Outcome:
    """Write the log and, last of all, the archive."""
    console("publish", 98.0, f"finished with {len(result.block.photos)} of {result.photos_found} photos")
    products.write_json(project_dir / products.LOG, console.log(_version(), asdict(options), error=None))
    assets += [products.CONSOLE, products.LOG]
    write_archive(project_dir / products.ARCHIVE, project_dir, assets)
    console("publish", 100.0)
    return Outcome(tuple(sorted([*assets, products.ARCHIVE])), _summary(result, console.seconds()))


def _say_failed(project_dir: Path, options: EngineOptions, console: Console, error: BaseException) -> None:
    match error:
        case EngineError():
            said = f"{error.code}: {error}"
        case CanceledError():
            said = "canceled"
        case _:
            said = f"BUG: {type(error).__name__}: {error}"
    with suppress(OSError):  # a full disk must not hide the reason
        console.write_line(f"FAILED {said}")
        products.write_json(project_dir / products.LOG, console.log(_version(), asdict(options), error=said))


def _summary(result: Run, seconds: dict[str, float]) -> dict[str, object]:
    block, canvas = result.block, result.canvas
    return {
        "photos_used": len(block.photos),
        "photos_found": result.photos_found,
        "left_out": [asdict(one) for one in block.left_out],
        "warnings": list(result.warnings),
        "epsg": block.epsg,
        "width": canvas.width,
        "height": canvas.height,
        "pixel_m": round(canvas.pixel_m, 6),
        "photo_pixel_m": round(result.photo_pixel_m, 6),
        "area_m2": round(result.area_m2, 2),
        "gps_residuals_m": asdict(block.gps_residuals),
        "seconds": seconds,
    }


def _version() -> str:
    return version("odm-gateway")
