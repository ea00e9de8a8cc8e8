"""A process that scales images, one after the other, for as long as its parent lives.

    python -m scaler.codec_worker PARENT NICENESS IN OUT

An ask is a line of JSON on standard input, and so is the answer on standard output. The bytes of images, in
and out, are in two files that parent and child have open: nothing is copied through pipes. What is neither
an image nor a rejection ends the process, with its traceback on standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import IO, Any

from scaler.codec_files import read_file, write_file
from scaler.domain.asks import Asks, Interpolation, RejectedError
from scaler.imaging import scale_image, turbo

_DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""


def main() -> None:
    """Answer until standard input ends."""
    parent, niceness, given, taken = (int(one) for one in sys.argv[1:5])
    _be_a_child(parent, niceness)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    _say(answers, {"turbo": turbo.is_there()})
    for line in sys.stdin:
        _say(answers, _answer(json.loads(line), given, taken))


def _be_a_child(parent: int, niceness: int) -> None:
    """Leave the processor to others first, leave signals from the terminal to the parent, and die with it."""
    import cv2  # noqa: PLC0415 - the only use

    os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    cv2.setNumThreads(1)  # as many processes as cores, one thread each


def _answer(ask: dict[str, Any], given: int, taken: int) -> dict[str, Any]:
    asks = Asks(**ask["asks"] | {"interpolation": Interpolation(ask["asks"]["interpolation"])})
    content = read_file(given, ask["bytes"])
    try:
        scaled = scale_image(content, asks, pixels_at_most=ask["pixels_at_most"], turbo=ask["turbo"])
    except RejectedError as error:
        return {"rejected": error.code, "message": str(error)}
    write_file(taken, scaled.content)
    return {
        "bytes": len(scaled.content),
        "width": scaled.width,
        "height": scaled.height,
        "format": scaled.format,
        "sha256": scaled.sha256,
        "notes": scaled.notes,
    }


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
