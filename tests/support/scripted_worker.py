"""A worker process that speaks the engine's protocol and misbehaves as it is told.

``python scripted_worker.py BEHAVIOUR IMAGES PROJECT --options JSON``, or ``BEHAVIOUR --wait``
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

STEPS = 10


def main() -> int:
    behaviour, *job = sys.argv[1:]
    if job == ["--wait"]:
        if not (line := sys.stdin.buffer.readline()):
            return 0
        named = json.loads(line)
        job = [named["images"], named["project"]]
    images, project = Path(job[0]), Path(job[1])
    project.mkdir(parents=True, exist_ok=True)
    with (project / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (project / "starts").open("a").write("x")
        (project / "pid").write_text(str(os.getpid()))
        end_with_parent()
        return BEHAVIOURS[behaviour](images, project)


def end_with_parent() -> None:
    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(3)

    signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
    threading.Thread(target=watch, daemon=True).start()


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def finish(images: Path, project: Path) -> int:
    names = sorted(path.name for path in images.iterdir())
    assets = {
        "all.zip": "archive",
        "images.json": json.dumps(names),
        "odm_orthophoto/odm_orthophoto.tif": "map",
    }
    for asset, content in assets.items():
        (project / asset).parent.mkdir(parents=True, exist_ok=True)
        (project / asset).write_text(content)
    say(type="line", text=f"{len(names)} images")
    say(type="progress", stage="publish", percent=100)
    say(type="done", assets=list(assets), summary={"images": len(names)})
    return 0


def promise_too_much(_images: Path, _project: Path) -> int:
    say(type="done", assets=["../../escaped"], summary={})
    return 0


def die(_images: Path, _project: Path) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def die_once(images: Path, project: Path) -> int:
    return die(images, project) if (project / "starts").read_text() == "x" else finish(images, project)


def refuse(_images: Path, _project: Path) -> int:
    say(type="failed", code="NO_GPS", message="None of the 3 photos has a position.")
    return 1


def run_out_of_memory(_images: Path, _project: Path) -> int:
    say(type="failed", code="BUG", message="MemoryError: Unable to allocate 9 GiB")
    return 2


def break_down(_images: Path, _project: Path) -> int:
    return 2


def make_noise(images: Path, project: Path) -> int:
    sys.stdout.write('no json\n{"type": "unknown"}\n\n' + "x" * 3_000_000 + "\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\xfe\n")
    return finish(images, project)


def wait(_images: Path, _project: Path) -> int:
    say(type="line", text="waiting")
    child = os.fork()
    if child == 0:
        time.sleep(120)
        os._exit(0)
    (_project / "child").write_text(str(child))
    say(type="progress", stage="wait", percent=10)
    time.sleep(120)
    return 2


def work_slowly(images: Path, project: Path) -> int:
    """Take ten steps, going on where an earlier worker was stopped."""
    journal = project / "steps"
    journal.touch()
    for step in range(len(journal.read_text()), STEPS):
        say(type="line", text=f"step {step}")
        say(type="progress", stage="steps", percent=100 * step / STEPS)
        time.sleep(0.15)
        journal.open("a").write("x")
    return finish(images, project)


BEHAVIOURS = {
    "finish": finish,
    "promise_too_much": promise_too_much,
    "die": die,
    "die_once": die_once,
    "refuse": refuse,
    "break_down": break_down,
    "run_out_of_memory": run_out_of_memory,
    "make_noise": make_noise,
    "wait": wait,
    "work_slowly": work_slowly,
}

if __name__ == "__main__":
    sys.exit(main())
