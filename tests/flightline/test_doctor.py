"""``flightline doctor``: what it finds, and what it says is to be done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flightline.fitness import backends, configuration, outside
from flightline.fitness.finding import Check, Finding, found
from flightline.vault_simulator import SimulatedVault
from shared.settings import PlatformSettings
from shared.state.open import open_store
from shared.state.port import CollectionSpec, Index
from tests.support.columns import Column, server_backends
from tests.support.kubernetes.cluster import SimulatedCluster, simulated_cluster, write_kubeconfig
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.vault import vault_server


async def looked(checks: Sequence[Check], settings: PlatformSettings) -> dict[str, Finding]:
    return {finding.what: finding for finding in await found(checks, settings)}


def test_every_slip_of_the_finger_is_named_with_what_was_meant(column: Column) -> None:
    ended = column.run("doctor", FLIGHLINE_BUS="x", INGEST_PROT="7", SCALER_PORT="many")

    assert ended.returncode == 1
    assert "FLIGHLINE_BUS is no setting, did you mean FLIGHTLINE_BUS?" in ended.stdout
    assert "INGEST_PROT is no setting, did you mean INGEST_PORT?" in ended.stdout
    assert "SCALER_PORT=many: expected a valid integer" in ended.stdout
    assert "do: mend these variables" in ended.stdout
    assert "ok    state" in ended.stdout


async def test_a_password_in_an_address_is_not_shown(column: Column) -> None:
    async def look(_: PlatformSettings) -> str:
        return "https://anna:hunter2@archive.example.org answers"

    finding = (await looked([Check("archive", look, "")], column.settings))["archive"]

    assert (finding.ok, finding.says) == (True, "https://anna:***@archive.example.org answers")


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "HOME", "PORT", "MOVE", "INGRESS_HOST", "FLIGHTLINE_SERVICE_HOST"):
        monkeypatch.setenv(name, "x")

    finding = asyncio.run(looked(configuration.CHECKS, PlatformSettings()))["settings"]

    assert (finding.ok, finding.do) == (True, "")


def test_a_folder_that_cannot_be_written_to_is_found(column: Column) -> None:
    ended = column.run("doctor", FLIGHTLINE_OBJECTS="file:///proc/objects")

    assert ended.returncode == 1
    assert "FAIL  objects" in ended.stdout
    assert "do: FLIGHTLINE_OBJECTS" in ended.stdout


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path)

    findings = await looked(backends.checks(settings), settings)

    assert [finding.says for finding in findings.values() if not finding.ok] == []
    async with open_store(settings.state) as store:
        await store.declare(CollectionSpec(backends.PROBES, (Index(("at_us",)),)))
        assert await store.count(backends.PROBES, {}) == 0
    assert [
        path for path in (tmp_path / "objects").rglob("*") if path.is_file() and "doctor" in str(path)
    ] == []


@pytest.fixture
def on_servers(
    request: pytest.FixtureRequest, mongo_url: str, s3: S3Server, tmp_path: Path
) -> PlatformSettings:
    own = server_backends(session_rabbitmq(request.config), mongo_url, s3)
    return PlatformSettings.model_validate({"home": tmp_path, **own})


async def test_servers_let_us_do_what_the_services_do(on_servers: PlatformSettings) -> None:
    findings = await looked(backends.checks(on_servers), on_servers)

    assert [finding.says for finding in findings.values() if not finding.ok] == []
    assert findings["bus"].says == "amqp: declares, publishes, consumes"
    assert set(findings) == {"bus", "state", "objects", "clock"}


async def test_servers_that_refuse_us_are_found_without_a_password(on_servers: PlatformSettings) -> None:
    wrong = on_servers.model_copy(
        update={
            "bus": on_servers.bus.replace("guest:guest", "guest:wrong-password"),
            "objects": "s3://no-such-bucket/flightline",
            "state": "mongodb://127.0.0.1:1/flightline",
        }
    )

    findings = await looked(backends.checks(wrong), wrong)

    assert "refused user or password" in findings["bus"].says
    assert "there is no such bucket" in findings["objects"].says
    assert not findings["state"].ok
    assert "wrong-password" not in str(findings)
    assert all(finding.do for finding in findings.values() if not finding.ok)


class Late(BaseHTTPRequestHandler):
    """A server whose clock is ten minutes slow."""

    def do_GET(self) -> None:
        self.send_response_only(403)
        self.send_header("Date", format_datetime(datetime.now(UTC) - timedelta(minutes=10)))
        self.end_headers()


@pytest.fixture
def late() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_a_clock_that_is_wrong_is_found(late: str, tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path, s3_endpoint=late)

    (finding,) = await found([Check("clock", backends.clock, "set it")], settings)

    assert not finding.ok
    assert finding.says.startswith("our clock is +60")
    assert finding.do == "set it"


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatedCluster]:
    from shared.objects.open import open_objects  # noqa: PLC0415 - for these tests alone

    async with open_objects(f"file://{tmp_path}/objects") as objects, simulated_cluster(objects) as simulated:
        config = write_kubeconfig(tmp_path / "kubeconfig", here=simulated)
        monkeypatch.setenv("ODM_GATEWAY_ENGINE", "argo")
        monkeypatch.setenv("ODM_GATEWAY_ARGO_KUBECONFIG", str(config))
        yield simulated


@pytest.mark.usefixtures("cluster")
async def test_a_cluster_that_lets_us_is_well(tmp_path: Path) -> None:
    settings = PlatformSettings(home=tmp_path)

    finding = (await looked(outside.checks(settings), settings))["argo"]

    assert (finding.ok, finding.says) == (True, "here (photogrammetry) lets us")


async def test_every_right_that_is_missing_at_a_cluster_is_named(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    cluster.api.faults.forbidden |= {("watch", "workflows"), ("delete", "persistentvolumeclaims")}
    settings = PlatformSettings(home=tmp_path)

    finding = (await looked(outside.checks(settings), settings))["argo"]

    assert not finding.ok
    assert finding.says == ("it does not let us here: watch workflows; here: delete persistentvolumeclaims")


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with vault_server() as served:
        yield served


async def test_vault_is_asked_how_it_is(vault: SimulatedVault, tmp_path: Path) -> None:
    settings = PlatformSettings.model_validate({"home": tmp_path, "vault_url": vault.url})

    well = (await looked(outside.checks(settings), settings))["vault"]
    vault.condition.is_sealed = True
    sealed = (await looked(outside.checks(settings), settings))["vault"]

    assert (well.ok, well.says) == (True, f"{vault.url}: unsealed")
    assert (sealed.ok, sealed.says) == (False, f"Vault at {vault.url} is sealed")


async def test_what_datalab_asks_is_looked_at_where_it_is_configured(
    late: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PlatformSettings(home=tmp_path)
    assert outside.checks(settings) == []
    monkeypatch.setenv("DATALAB_TAP_URL", f"{late}/tap")
    monkeypatch.setenv("DATALAB_ARCHIVE_URL", "http://127.0.0.1:1/")

    findings = await looked(outside.checks(settings), settings)

    assert findings["tap"].ok
    assert not findings["archive"].ok
    assert findings["archive"].do == "DATALAB_ARCHIVE_URL, and the way there"
