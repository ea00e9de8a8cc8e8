"""A process that scales images, one after the other, for as long as its parent lives.

    python -m scaler.codec_worker PARENT NICENESS IN OUT

An ask is a line of JSON on standard input, and so is the answer on standard output. The bytes of images, in
and out, are in two files that parent and child have open: nothing is copied through pipes. What is neither
an image nor a rejection ends the process, with its traceback on standard error.
"""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from scaler.codec_files import read_file, write_file
from scaler.domain.asks import Asks, Interpolation, RejectedError
from scaler.imaging import scale_image, turbo
from shared.child import answers, be_a_child


def main() -> None:
    """Answer until standard input ends."""
    parent, niceness, given, taken = (int(one) for one in sys.argv[1:5])
    be_a_child(parent, niceness)
    import cv2  # noqa: PLC0415 - the only use

    cv2.setNumThreads(1)  # as many processes as cores, one thread each
    out = answers()
    _say(out, {"turbo": turbo.is_there()})
    for line in sys.stdin:
        _say(out, _answer(json.loads(line), given, taken))


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


def _say(out: IO[str], answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
