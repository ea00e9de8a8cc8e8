"""A stand-in for ODM's ``run.py``: its command line, its words, its datagrams, its files, without its work.

``python scripted_odm.py BEHAVIOUR [ODM's arguments] PROJECT``; Python 3.8 is enough. ``BEHAVIOUR`` is one or
more of the names below, with commas between them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STAGES = (
    ("dataset", 5), ("split", 0), ("merge", 0), ("opensfm", 25), ("openmvs", 50), ("odm_filterpoints", 52),
    ("odm_meshing", 60), ("mvs_texturing", 70), ("odm_georeferencing", 80), ("odm_dem", 90),
    ("odm_orthophoto", 98), ("odm_report", 99), ("odm_postprocess", 100),
)  # fmt: skip
OPTIONS = Path(__file__).parents[2] / "services/odm-gateway/src/odm_gateway/odm-options.json"
PROGRAM = "import time; time.sleep(300)"


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py")
    parser.add_argument("name")
    for flag in ("--project-path", "--gcp", "--geo", "--align", "--split-image-groups"):
        parser.add_argument(flag)
    for option in json.loads(OPTIONS.read_text("utf-8")):
        if option["type"] == "bool":
            parser.add_argument("--" + option["name"], action="store_true")
        else:
            parser.add_argument("--" + option["name"])
    return parser.parse_args(arguments)


def info(text: str, colour: int = 39, level: str = "INFO") -> None:
    sys.stdout.write(f"\x1b[{colour}m[{level}]    {text}\x1b[0m\n")
    sys.stdout.flush()


def tell(project: str, percent: float, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        text = f"PGUP/{os.getpid()}/{project}/{float(percent)}"
        sender.sendto(text.encode(), ("127.0.0.1", port))


def started_program(root: Path) -> subprocess.Popen[bytes]:
    """Start a program as ODM does, in a session of its own."""
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], start_new_session=True)
    with (root / "programs").open("a") as file:
        file.write(f"{program.pid}\n")
    return program


def end_gracefully(_number: int, _frame: Any) -> None:
    info("Caught TERM/INT signal, attempting to exit gracefully...", 33, "WARNING")
    os._exit(1)


def fail(root: Path, behaviour: list[str]) -> None:
    """End as ``exit:N`` or ``signal:N`` say, in the middle of the reconstruction."""
    for part in behaviour:
        kind, _, number = part.partition(":")
        if kind == "exit":
            info("===== Dumping Info for Geeks =====", 31, "ERROR")
            sys.exit(int(number))
        if kind == "signal":
            os.kill(os.getpid(), int(number))
        if kind == "once" and not (root / "failed").exists():
            (root / "failed").touch()
            sys.exit(int(number))


def hang(root: Path) -> None:
    program = started_program(root)
    info("running a program")
    (root / "hanging").touch()
    program.wait()


def make_noise() -> None:
    out = sys.stdout.buffer
    out.write(b"bar 10%\rbar 50%\rbar 100%\r\n" + b"\xff\xfe broken\n" + b"y" * 200000 + b"\n\n")
    out.write(b"sm_cluster: http://node:3000/?token=s3cret&x=1\n" + b"a very " + b"last word")
    out.flush()


def reconstruct(root: Path, behaviour: list[str]) -> None:
    fail(root, behaviour)
    if "hang" in behaviour or "stubborn" in behaviour:
        hang(root)
    if "daemon" in behaviour:
        started_program(root)
    if "large" in behaviour:
        held = bytearray(os.urandom(1 << 20) * 150)
        time.sleep(2.5)
        del held
    matches = root / "opensfm/matches"
    matches.mkdir(parents=True, exist_ok=True)
    (matches / "a.pkl.gz").write_bytes(b"matches")


def make(root: Path, stage: str, args: argparse.Namespace) -> None:
    """Write what a stage makes."""
    made = {
        "odm_georeferencing": {"odm_georeferencing/odm_georeferenced_model.laz": b"points"},
        "odm_dem": {f"odm_dem/{name}.tif": b"heights" for name in ("dsm", "dtm") if getattr(args, name)},
        "odm_orthophoto": {"odm_orthophoto/odm_orthophoto.tif": b"II*\0 map " + str(time.time_ns()).encode()},
        "odm_report": {"odm_report/report.pdf": b"%PDF", "cameras.json": b"{}", "log.json": b"{}"},
    }.get(stage, {})
    if stage == "odm_orthophoto" and args.skip_orthophoto:
        made = {}
    if stage == "odm_orthophoto" and args.tiles:
        made["orthophoto_tiles/18/1/2.png"] = b"tile"
    for path, content in made.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def run_stage(root: Path, stage: str, behaviour: list[str], args: argparse.Namespace) -> None:
    info(f"Running {stage} stage")
    done = root / ".done" / stage
    if done.exists():
        info(f"Found a valid result of {stage} in: {root}", 33, "WARNING")
    else:
        if stage == "opensfm":
            reconstruct(root, behaviour)
        time.sleep(0.15 if "slow" in behaviour else 0)
        if not ("no-map" in behaviour and stage == "odm_orthophoto"):
            make(root, stage, args)
        with (root / "worked").open("a") as file:
            file.write(stage + "\n")
        done.parent.mkdir(exist_ok=True)
        done.touch()
    info(f"Finished {stage} stage")


def prepare(root: Path, args: argparse.Namespace) -> bool:
    """Read what was sent, as ODM's first stage does; return whether there is enough of it."""
    beside = [args.gcp, args.geo, args.align, args.split_image_groups]
    images = sorted(path.name for path in (root / "images").iterdir() if path.read_bytes())
    if not images or not all(Path(path).is_file() for path in beside if path):
        info(f"Not enough supported images in {root}", 31, "ERROR")
        return False
    info(f"Found {len(images)} usable images")
    (root / "images.json").write_text(json.dumps([{"filename": name} for name in images]))
    return True


def main() -> int:
    behaviour = sys.argv[1].split(",")
    args = parsed(sys.argv[2:])
    root = Path(args.project_path, args.name)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in behaviour else end_gracefully)
    info("Initializing ODM 3.6.0")
    for name, value in sorted(vars(args).items()):
        info(f"{name}: {value}")
    if not prepare(root, args):
        return 1
    if "noise" in behaviour:
        make_noise()
    for stage, percent in STAGES:
        run_stage(root, stage, behaviour, args)
        if percent and "mute" not in behaviour:
            tell(args.name, percent, int(os.environ.get("SCRIPTED_ODM_PORT", "6367")))
        if stage == args.end_with:
            break
    info("ODM app finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
