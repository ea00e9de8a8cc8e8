"""From a raw folder on a simulated Nextcloud to folders by tag, as a new user goes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx
import pytest
import simplejpeg

from tests.journeys.test_tapis import Terminal, terminal, until_it_listens
from tests.support.debian import ensure_installed
from tests.support.processes import free_port

README = Path(__file__).resolve().parents[2] / "README.md"
CHAPTER = "## Scale and sort images on Nextcloud in five minutes"
USUAL = (8080, 8200, 8003, 8004)
WITHIN_S = 90.0


def chapter() -> list[str]:
    """Return the commands of the README's chapter, in blocks."""
    text = README.read_text(encoding="utf-8").partition(CHAPTER)[2].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed_until(shell: Terminal, commands: str, wanted: str) -> str:
    """Type commands again until what they print is as wanted."""
    ends_at = time.monotonic() + WITHIN_S
    while not re.search(wanted, said := shell.type(commands), re.DOTALL):
        assert time.monotonic() < ends_at, said
        time.sleep(0.3)
    return said


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_five_minutes_of_the_readme_end_in_a_scaled_image_in_the_folder_of_its_tag(
    tmp_path: Path,
) -> None:
    ensure_installed("curl", "curl")
    ports = {usual: free_port() for usual in USUAL}
    nextcloud, vault, scaler, mover = (ports[usual] for usual in USUAL)

    def instead(text: str) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(ports[int(port.group())]), text)

    simulate, secrets, services, upload, scaled, tag, sorted_ = map(instead, chapter())
    own = {"SCALER_PORT": str(scaler), "MOVER_PORT": str(mover)}
    home = tmp_path / "build" / "nextcloud" / "home" / "data" / "AI"
    constants = json.dumps({"host_url": f"http://127.0.0.1:{nextcloud}"})
    with terminal(tmp_path, {}) as first, terminal(tmp_path, own) as second:
        first.type(f"{simulate.strip()} --port {nextcloud} > nextcloud.log 2>&1 &")
        first.type(f"{secrets.strip()} --port {vault} > vault.log 2>&1 &")
        until_it_listens(f"http://127.0.0.1:{nextcloud}/simulator/calls")
        until_it_listens(f"http://127.0.0.1:{vault}/v1/sys/health")
        httpx.patch(
            f"http://127.0.0.1:{vault}/simulator/secrets/secret/webdav", content=constants
        ).raise_for_status()
        second.type(services)
        second.type(upload)
        said = typed_until(second, scaled, r"_raw:\n\n.*_unsorted:\n(.*\.jpg\n){2}")
        second.type(tag)
        moved = typed_until(second, sorted_, r"\.jpg\n.*meadows")
        second.type("kill %1 %2; wait %1 %2")

    (found,) = (home / "organized" / "meadows").iterdir()
    height, width, _ = simplejpeg.decode_jpeg(found.read_bytes(), strict=True).shape
    photo = tmp_path / "build" / "nextcloud" / "photos" / "DJI_0001.JPG"
    before = simplejpeg.decode_jpeg_header(photo.read_bytes())
    assert '"state":"on"' in said
    assert re.fullmatch(r"\d{8}-\d{6}_Unknown-1_[0-9a-f]{12}\.jpg", found.name)
    assert (height, width) == (2 * before[0], 2 * before[1])
    assert found.name in moved
