"""RabbitMQ's own management API, as ``status`` and ``doctor`` ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from flightline.fitness import backends
from flightline.fitness.finding import found
from flightline.overview.look import Looker
from flightline.overview.model import Overview
from flightline.pipeline import SUBSCRIPTIONS
from shared.messaging.bus import open_transport
from shared.messaging.port import Message, Topology
from shared.settings import PlatformSettings
from tests.flightline.letters import QUEUE
from tests.support.rabbitmq import RabbitMQ, running_rabbitmq
from tests.support.trouble import eventually

PASSWORD = "guest"


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    with running_rabbitmq(managed=True) as broker:
        yield broker


def on(broker: RabbitMQ, home: Path, password: str = PASSWORD) -> PlatformSettings:
    url = f"http://guest:{password}@127.0.0.1:{broker.management_port}/"
    return PlatformSettings.model_validate({"home": home, "bus": broker.url, "bus_management": url})


def in_hand(found: Overview) -> int | None:
    (counts,) = [queue.counts for queue in found.queues if queue.name == QUEUE]
    return counts.in_hand if counts else None


@pytest.mark.long
async def test_the_api_tells_what_is_in_hand(broker: RabbitMQ, tmp_path: Path) -> None:
    looker = Looker(on(broker, tmp_path), {})
    async with open_transport(broker.url) as transport:
        await transport.declare(Topology(SUBSCRIPTIONS))
        await transport.publish(Message(b"{}", "flight-found", "e1"))
        async with transport.consume(QUEUE, prefetch=1) as deliveries:
            await anext(deliveries)

            async def told() -> bool:
                return in_hand(await looker.look()) == 1

            await eventually(told, within_s=60)


@pytest.mark.long
async def test_a_user_that_the_api_refuses_is_found_without_its_password(
    broker: RabbitMQ, tmp_path: Path
) -> None:
    settings = on(broker, tmp_path, "wrong-password")

    overview = await Looker(settings, {}).look()
    findings = {finding.what: finding for finding in await found(backends.checks(settings), settings)}

    assert [backend.ok for backend in overview.backends] == [True, True, True, False]
    assert in_hand(overview) is None
    assert findings["bus"].ok
    assert "refused user guest: it needs the tag monitoring" in findings["management"].says
    assert "wrong-password" not in f"{overview}{findings}"


def test_what_is_no_url_of_an_api_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected a URL such as https://user:password@host:15671/"):
        PlatformSettings.model_validate({"bus_management": "rabbitmq:15672"})
