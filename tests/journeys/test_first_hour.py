"""The first hour of docs/operations.md, typed as it stands there."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import aio_pika
import pytest

from shared.messaging.bus import open_transport
from shared.messaging.port import Subscription, Topology
from tests.journeys.test_tapis import terminal
from tests.support.columns import Column
from tests.support.debian import ensure_installed
from tests.support.events import flight_found
from tests.support.processes import free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
SERVICES = ("DISCOVERY", "INGEST", "SCALER", "MOVER", "DATALAB", "ODM_GATEWAY")


def blocks(language: str) -> list[str]:
    """Return what the chapter has in blocks of a language."""
    text = PAGE.read_text(encoding="utf-8").partition("## The first hour")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_new_user_publishes_an_event_and_replays_the_letter_that_it_leads_to(tmp_path: Path) -> None:
    ensure_installed("curl", "curl")
    own = {service: str(free_port()) for service in SERVICES}
    instead = {"8001": own["DISCOVERY"], "9100": str(free_port())}
    typed = [
        re.sub(r"\b(8001|9100)\b", lambda port: instead[port.group()], block) for block in blocks("bash")
    ]

    with terminal(tmp_path, {f"{service}_PORT": port for service, port in own.items()}) as shell:
        start, publish, again, watch, find, mend, discard = (shell.type(block) for block in typed)
    kept = (tmp_path / "build" / "first-hour" / "letters.jsonl").read_text().splitlines()

    assert "FAIL" not in start
    assert '"duplicate":false' in publish
    assert "published flight-found try-1" in again
    assert "field-7  completed" in watch
    assert "it ended with 1" in find
    assert "reason    attempts_exhausted" in find
    assert "replayed 1" in mend
    assert "no dead letters" in mend
    assert "nothing is amiss" in mend
    assert "discarded 2" in discard
    assert "nothing is amiss" in discard
    assert {json.loads(line)["reason"] for line in kept} == {"unreadable"}


@pytest.mark.long
def test_the_client_of_the_page_publishes_to_rabbitmq(servers: Column, tmp_path: Path) -> None:
    event = flight_found("field-7")
    (tmp_path / "found.json").write_bytes(event.to_bytes())
    (code,) = blocks("python")

    async def published() -> str:
        topology = Topology((Subscription("ingest", "flight-found"),))
        async with open_transport(servers.settings.bus) as transport:
            await transport.declare(topology)
            command = [sys.executable, "-c", code]
            await asyncio.to_thread(
                subprocess.run, command, cwd=tmp_path, env=servers.environment, check=True, timeout=60
            )
        async with await aio_pika.connect(servers.settings.bus) as connection:
            queue = await (await connection.channel()).get_queue("ingest.flight-found")
            return str(json.loads((await queue.get(no_ack=True)).body)["id"])

    assert asyncio.run(published()) == event.id
