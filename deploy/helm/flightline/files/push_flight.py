"""Have a small made-up flight processed by an installation, from the object store to the orthophoto.

It puts the photos into the installation's own object store, and asks discovery for them as anybody would.
"""

# ruff: noqa: INP001, S607
from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from shared.platform import open_object_store
from shared.settings import PlatformSettings, load

ENDED = {"completed", "failed", "canceled"}
SUFFIXES = {".jpg", ".jpeg"}
LOOK_EVERY_S = 3
ANSWER_WITHIN_S = 60


def main() -> int:
    """Return 0 if the flight became an orthophoto."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=900, help="seconds until it gives up")
    told = parser.parse_args()
    settings = load(PlatformSettings)
    prefix = f"tests/flight-{int(time.time())}"
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "flight"
        subprocess.run(  # noqa: S603 - of the same image
            [
                "flightline",
                "simulate",
                "flight",
                str(images),
                "--photos",
                str(told.photos),
                "--megapixels",
                "0.3",
            ],
            check=True,
        )
        photos = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
        source = asyncio.run(_uploaded(settings, photos, prefix))
    _say(f"asks for {source}")
    flight = _asked(settings, "/api/discover", {"source": source})["flights"][0]["flight_id"]
    return _followed(settings, flight, time.monotonic() + told.timeout)


async def _uploaded(settings: PlatformSettings, photos: list[Path], prefix: str) -> str:
    """Return where the photos are by then."""
    async with open_object_store(settings) as objects:
        for photo in photos:
            await objects.put(f"{prefix}/{photo.name}", photo)
        return objects.uri(f"{prefix}/photo").rpartition("/")[0]


def _followed(settings: PlatformSettings, flight: str, until_s: float) -> int:
    state = ""
    while time.monotonic() < until_s:
        seen = _asked(settings, f"/api/flights/{flight}")
        if seen["state"] != state:
            state = seen["state"]
            _say(f"flight {flight} is {state}")
        if state in ENDED:
            _say(json.dumps(seen, indent=2))
            return int(state != "completed")
        time.sleep(LOOK_EVERY_S)
    _say(f"flight {flight} did not end in time")
    return 1


def _asked(settings: PlatformSettings, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
    content = None if body is None else json.dumps(body).encode()
    url = f"{settings.discovery_url.rstrip('/')}{path}"
    request = urllib.request.Request(url, content, headers)  # noqa: S310 - the operator's own URL
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{url} cannot be reached: {error}")
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("HOME", tempfile.gettempdir())
    sys.exit(main())
