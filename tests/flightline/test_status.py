"""``flightline status``: what it shows, what it finds amiss, and what does not hold it up."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flightline.overview.model import (
    Backend,
    Failure,
    Item,
    Line,
    Overview,
    QueueLook,
    ServiceLook,
    amiss,
)
from flightline.overview.screen import age, screen
from flightline.overview.services import SETTINGS, addresses, look_at
from ingest.collections import TRANSFERS
from ingest.domain.transfers import Transfer
from shared.errors import InvalidInputError
from shared.messaging.port import QueueCounts
from shared.state import Collection
from shared.state.open import open_store
from tests.flightline.letters import QUEUE, bury
from tests.support.columns import Column
from tests.support.events import flight_found

NOW = datetime(2026, 5, 1, tzinfo=UTC)
IDLE = QueueCounts(ready=0, in_hand=0, retrying=0, dead=0, consumers=1, oldest_s=None)
WELL = Overview(
    at=NOW,
    backends=(Backend("bus", ok=True, says="sqlite"),),
    services=(ServiceLook("ingest", "http://127.0.0.1:8002", "ready", version="1.2.3"),),
    flights={"completed": 2},
    queues=(QueueLook(QUEUE, IDLE),),
    unrouted=0,
    work=(),
    failures=(),
)


def with_queue(**counts: Any) -> Overview:
    return replace(WELL, queues=(QueueLook(QUEUE, replace(IDLE, **counts)),))


SILENT = ServiceLook("ingest", "http://127.0.0.1:8002", "silent", {"http": "nobody listens there"})
WAITING = Item("transfer", "t1", "field", "copying", is_held=False, since_s=5, progress=0.5, says="")


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            replace(WELL, backends=(Backend("bus", ok=False, says="it is away"),)),
            "bus does not answer: it is away",
        ),
        (
            replace(WELL, services=(ServiceLook("ingest", "", "unready", {"bus": "away"}),)),
            "ingest is not ready: bus: away",
        ),
        (with_queue(dead=1), f"1 dead letter in {QUEUE}: flightline dead-letters list --queue {QUEUE}"),
        (with_queue(ready=3, consumers=0), f"nobody listens to {QUEUE}, where 3 wait"),
        (with_queue(ready=3, oldest_s=900.0), f"the oldest of 3 in {QUEUE} has waited for 900 s"),
        (
            replace(WELL, services=(SILENT,), work=(Line("transfer", "ingest", 1, 0, 5.0, (WAITING,)),)),
            "ingest does not answer at http://127.0.0.1:8002, and 1 wait for it",
        ),
    ],
)
def test_what_is_amiss_is_said_first(found: Overview, says: str) -> None:
    assert amiss(found) == [says]
    assert screen(found).splitlines()[:2] == [
        "flightline, 2026-05-01 00:00:00 UTC: 1 to look at",
        f"  ! {says}",
    ]


@pytest.mark.parametrize(
    "found",
    [
        WELL,
        replace(WELL, services=(SILENT,)),
        with_queue(ready=3, oldest_s=5.0),
        with_queue(retrying=3),
        replace(WELL, services=(ServiceLook("ingest", "", "draining"),)),
    ],
)
def test_what_passes_by_itself_is_not_amiss(found: Overview) -> None:
    assert amiss(found) == []


def test_a_screen_shows_work_by_age_and_what_failed() -> None:
    held = replace(WAITING, id="t2", is_held=True, progress=0.25, says="3 of 12 files")
    found = replace(
        WELL,
        work=(Line("transfer", "ingest", 12, 1, 300.0, (held, WAITING)),),
        failures=(Failure("flight", "f1", "meadow", NOW, "no GPS"),),
        unrouted=4,
    )

    text = screen(found)

    assert "  transfer                                12        1  5m" in text
    assert (
        "* transfer    t2                                   copying         5s   25%  field  3 of 12 files"
        in text
    )
    assert "and 10 more" in text
    assert "2026-05-01 00:00  flight      f1" in text
    assert "flightline.unrouted                      4" in text
    assert "  ! 4 messages have a type that nobody listens to: flightline dead-letters list --queue" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.2, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
)
def test_ages_are_told_in_their_largest_unit(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


class Service(BaseHTTPRequestHandler):
    """A service that is not ready."""

    def do_GET(self) -> None:
        live = self.path == "/healthz"
        body = (
            b'{"service": "ingest", "version": "1.2.3"}'
            if live
            else b'{"status": "unready", "failing": {"bus": "away"}}'
        )
        self.send_response(200 if live else 503)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def listening() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def column(column: Column) -> Column:
    """Embedded backends, and services that nobody runs, whatever else runs on this machine."""
    nobody = {f"{service.replace('-', '_').upper()}_PORT": "1" for service in SETTINGS}
    return replace(column, own=nobody)


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_services_are_asked_and_say_why_they_are_not_ready() -> None:
    with listening() as url:
        asked, other = await look_at({"ingest": url, "scaler": url})

    assert (asked.state, asked.why, asked.version) == ("unready", {"bus": "away"}, "1.2.3")
    assert other.state == "silent"
    assert "somebody else answers there" in other.why["http"]


def test_services_are_asked_where_a_template_says() -> None:
    where = addresses("http://flightline-{service}:{port}")

    assert where["odm-gateway"] == "http://flightline-odm-gateway:31100"
    assert set(where) == set(SETTINGS)


def test_a_template_of_something_else_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="expected a URL such as"):
        addresses("http://{pod}")


def test_on_an_empty_machine_nothing_is_amiss(column: Column) -> None:
    ended = column.run("status")

    assert ended.returncode == 0, ended.stderr
    assert "ingest       silent    http://127.0.0.1:1  http: nobody listens there" in ended.stdout
    assert "bus          ok" in ended.stdout


def test_a_dead_letter_is_found_and_makes_the_exit_code(column: Column) -> None:
    bury(column, "field-7", "field-8")

    ended = column.run("status")

    assert ended.returncode == 1
    assert f"! 2 dead letters in {QUEUE}: flightline dead-letters list --queue {QUEUE}" in ended.stdout
    assert "2 permanent" in ended.stdout


def test_a_transfer_that_waits_for_a_service_that_is_away_is_found(column: Column) -> None:
    asyncio.run(insert_transfer(column))

    found = column.run_json("status")

    (line,) = [line for line in found["work"] if line["kind"] == "transfer"]
    (item,) = line["items"]
    assert (line["open"], line["in_hand"], item["state"], item["name"]) == (1, 0, "copying", "meadow")
    assert item["since_s"] > 3000
    assert [text for text in found["amiss"] if text.startswith("ingest does not answer")] != []


async def insert_transfer(column: Column) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    async with open_store(column.settings.state) as store:
        await store.declare(TRANSFERS)
        transfer = Transfer(asks=(flight_found("field-7"),), created_at=before, updated_at=before)
        await Collection(store, TRANSFERS, Transfer).insert("field-7.v1", transfer)


def test_backends_that_are_away_are_said_and_the_rest_is_shown(column: Column) -> None:
    (column.home / "state.db").write_bytes(b"no database" * 1000)

    ended = column.run("status")

    assert ended.returncode == 1
    assert "! state does not answer: " in ended.stdout
    assert "bus          ok" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_broker_that_says_nothing_holds_nothing_up(column: Column) -> None:
    with silent_port() as port:
        begun_s = time.monotonic()
        ended = column.run("status", FLIGHTLINE_BUS=f"amqp://guest:guest-password@127.0.0.1:{port}/")
        took_s = time.monotonic() - begun_s

    assert ended.returncode == 1
    assert "! bus does not answer: " in ended.stdout
    assert "state        ok" in ended.stdout
    assert "guest-password" not in ended.stdout + ended.stderr
    assert took_s < 60


def test_watching_goes_on_until_it_is_interrupted(column: Column, tmp_path: Path) -> None:
    assert tmp_path
    apart = replace(column, parent=None)
    with apart.running("status", "--json", "--watch", "1") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(2)
        _, said = process.communicate(timeout=30)

    assert all(line.startswith('{"amiss": []') for line in lines)
    assert process.returncode == 130, said
