"""What scale does to the whole.

    python -m bench.scale [flights|kills|latency|model …] [--json] [--flights 10000] [--kills 110]

``flights``: so many flights through RabbitMQ and all services, on this machine. ``kills``: the same, while
services and the broker are killed. ``latency``: the bus at a steady rate. ``model``: a day on a cluster.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import structlog

PARTS = ("latency", "model", "flights", "kills")
BROKER_SHARE = 0.25
"""Of the kills."""


def main() -> None:
    """Run what is asked for, and print it."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # ends its processes, too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for library in ("aiormq", "aio_pika"):  # a killed broker is no news here
        logging.getLogger(library).setLevel(logging.CRITICAL)
    doing: dict[str, Callable[[argparse.Namespace], Mapping[str, Any]]] = {
        "latency": _latency,
        "model": _model,
        "flights": _flights,
        "kills": _kills,
    }
    found = {part: doing[part](options) for part in options.parts or PARTS}
    if options.json:
        print(json.dumps(found, default=_plain, indent=1))
    else:
        for part, figures in found.items():
            print(f"{part}\n{_table(figures)}\n")
    if any(_faults(figures) for figures in found.values()):
        sys.exit("something was lost, doubled or left over")


def _parser() -> argparse.ArgumentParser:
    from bench.scale.model.sources import described  # noqa: PLC0415 - as below

    parser = argparse.ArgumentParser(
        prog="bench.scale",
        description=__doc__,
        epilog=described().replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help="nothing: all of them")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--flights", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=110)
    parser.add_argument("--every", type=float, default=1.5, help="mean pause between kills, in seconds")
    parser.add_argument("--folder", type=Path, help="where everything is kept; /var/tmp without it")
    parser.add_argument("--measured", type=Path, help="figures of flights --json, for the model")
    return parser


def _latency(_: argparse.Namespace) -> Mapping[str, Any]:
    from bench.scale import latency  # noqa: PLC0415 - each part imports what it needs

    return latency.run()


def _model(options: argparse.Namespace) -> Mapping[str, Any]:
    from bench.scale.model.comparing import compare  # noqa: PLC0415
    from bench.scale.model.parameters import Times, World  # noqa: PLC0415
    from bench.scale.model.sources import told  # noqa: PLC0415

    times, world = Times.measured(options.measured) if options.measured else Times(), World()
    return {"numbers": told(times, world), **{row.name: row.figures for row in compare(times, world)}}


def _flights(options: argparse.Namespace) -> Mapping[str, Any]:
    from bench.scale.flight_set import Plan  # noqa: PLC0415
    from bench.scale.flights import run  # noqa: PLC0415

    return run(Plan(options.flights), folder=options.folder).figures()


def _kills(options: argparse.Namespace) -> Mapping[str, Any]:
    from bench.scale.flight_set import Plan  # noqa: PLC0415
    from bench.scale.flights import run  # noqa: PLC0415
    from bench.scale.killing import Killer  # noqa: PLC0415

    broker = round(options.kills * BROKER_SHARE)
    killer = Killer(broker, options.kills - broker, options.every)
    flown = run(Plan(options.flights), killer, folder=options.folder)
    return {**flown.figures(), **killer.harm.figures()}


def _faults(figures: Mapping[str, Any]) -> bool:
    return any(figures.get(name) for name in ("lost", "doubled", "left_over", "not_recovered"))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(type(value).__name__)


def _table(figures: Mapping[str, Any], indent: str = "  ") -> str:
    return "\n".join(f"{indent}{name:<32}{_cell(value, indent)}" for name, value in figures.items())


def _cell(value: Any, indent: str) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        if any(isinstance(each, Mapping) or is_dataclass(each) for each in value.values()):
            return "\n" + _table(value, indent + "  ")
        return "  ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list | tuple):
        shown = [str(each) for each in value[:10]]
        return "; ".join(shown) + (f" … {len(value)}" if len(value) > len(shown) else "") or "none"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    main()
