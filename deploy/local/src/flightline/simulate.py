"""``flightline simulate``: what there would be elsewhere, made up to try things out with."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightline.simulate_archive import archive
from flightline.simulate_nextcloud import nextcloud
from flightline.simulate_tapis import tapis
from flightline.simulate_vault import vault
from flightline.simulation.plan import FlightPlan

if TYPE_CHECKING:
    from flightline.simulation.truth import Truth

app = typer.Typer(
    no_args_is_help=True, help="Make up flights and frames, and where they come from, to try things out."
)
app.command()(tapis)
app.command()(nextcloud)
app.command()(vault)
app.command()(archive)

_DEFAULTS = FlightPlan()


@app.callback()
def simulate() -> None:
    """Make up flights and frames, and where they come from, to try things out."""


@app.command()
def flight(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the photos; made if absent.")],
    photos: Annotated[int, typer.Option(min=1, help="Number of photos.")] = _DEFAULTS.photos,
    megapixels: Annotated[float, typer.Option(min=0.01, help="Size of a photo.")] = _DEFAULTS.megapixels,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same flight.")] = _DEFAULTS.seed,
    altitude_m: Annotated[float, typer.Option(help="Height above the ground.")] = _DEFAULTS.altitude_m,
    gps_noise_m: Annotated[
        float, typer.Option(min=0, help="Standard deviation of each photo's GPS error.")
    ] = _DEFAULTS.gps_sigma_m,
    relief: Annotated[
        float, typer.Option(min=0, help="Factor on the hills; 0 is a plain.")
    ] = _DEFAULTS.relief,
    *,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write photos of a made-up drone flight into DIR, and the truth about it into DIR/truth."""
    from flightline.simulation.flight import simulate_flight  # noqa: PLC0415 - so that --help is quick

    try:
        plan = FlightPlan(
            photos=photos,
            megapixels=megapixels,
            seed=seed,
            altitude_m=altitude_m,
            gps_sigma_m=gps_noise_m,
            relief=relief,
        )
        _require_empty(directory, force=force)
        with _progress(photos) as advance:
            truth = simulate_flight(directory, plan, advance)
    except (ValueError, OSError) as error:
        typer.echo(f"flightline simulate: {error}", err=True)
        raise typer.Exit(2) from error
    _report(directory, truth, as_json=as_json)


def _require_empty(directory: Path, *, force: bool) -> None:
    if not force and directory.exists() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty; --force writes into it all the same.")


@contextmanager
def _progress(photos: int) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal, one line elsewhere; both on standard error."""
    from rich.console import Console  # noqa: PLC0415 - so that other commands start quickly
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        typer.echo(f"Taking {photos} photos", err=True)
        yield None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Taking photos", total=photos)
        yield lambda done, _total: bar.update(task, completed=done)


def _report(directory: Path, truth: "Truth", *, as_json: bool) -> None:
    result = {
        "directory": str(directory),
        "photos": [photo.name for photo in truth.photos],
        "width": truth.camera.width,
        "height": truth.camera.height,
        "epsg": truth.epsg,
        "truth": str(truth.directory),
    }
    text = "{} photos of {width} x {height} pixels in {directory}; the truth about them in {truth}"
    typer.echo(json.dumps(result) if as_json else text.format(len(truth.photos), **result))
