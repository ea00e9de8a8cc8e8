from __future__ import annotations

import pytest

from tests.support.rabbitmq import RabbitMQ, session_rabbitmq


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> RabbitMQ:
    return session_rabbitmq(pytestconfig)
