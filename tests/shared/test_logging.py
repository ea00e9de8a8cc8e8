"""Log lines, and what must not be in them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from shared.logging import configure_logging
from shared.redaction import redact, redact_text
from tests.support.logs import log_lines


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with log_lines("kite") as lines:
        yield lines


def only_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    data: dict[str, Any] = json.loads(line)
    return data


def test_a_line_is_json_with_name_level_and_time(lines: io.StringIO) -> None:
    structlog.get_logger("kite.loops").info("flight.found", images=18)

    line = only_line(lines)

    assert (line["event"], line["images"], line["level"]) == ("flight.found", 18, "info")
    assert (line["service"], line["logger"]) == ("kite", "kite.loops")
    assert line["timestamp"].endswith("Z")


def test_bound_ids_are_on_every_line(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(flight_id="f1", service="other"):
        structlog.get_logger().info("flight.found")

    line = only_line(lines)

    assert (line["flight_id"], line["service"]) == ("f1", "other")


def test_lines_of_libraries_take_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("cannot reach %s", "amqp://user:hunter2@host")

    line = only_line(lines)

    assert line["event"] == "cannot reach amqp://user:***@host"
    assert (line["level"], line["logger"], line["service"]) == ("warning", "some.library", "kite")


def test_chatter_of_known_libraries_is_left_out(lines: io.StringIO) -> None:
    logging.getLogger("aiormq.connection").info("heartbeat")
    structlog.get_logger().debug("below.the.level")

    assert lines.getvalue() == ""


def test_an_exception_is_logged_without_its_secrets(lines: io.StringIO) -> None:
    error = ValueError("no answer from https://user:hunter2@host/x?token=abcdef")

    structlog.get_logger().error("source.failed", exc_info=error)

    line = only_line(lines)

    assert "ValueError: no answer from https://user:***@host/x?token=***" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_repeated_configuration_does_not_double_lines(lines: io.StringIO) -> None:
    configure_logging("kite", log_format="json", stream=lines)

    structlog.get_logger().info("flight.found")

    assert len(lines.getvalue().splitlines()) == 1


def test_a_terminal_gets_readable_lines(lines: io.StringIO) -> None:
    configure_logging("kite", log_format="console", stream=lines)

    structlog.get_logger().info("flight.found", password="hunter2")

    assert "flight.found" in lines.getvalue()
    assert "password=***" in lines.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://u:p@host:5672/v", "amqp://u:***@host:5672/v"),
        ("mongodb+srv://u:p%40q@h1,h2/db", "mongodb+srv://u:***@h1,h2/db"),
        ("redis://:p@host", "redis://:***@host"),
        ("https://ghp_abc@github.example/x", "https://***@github.example/x"),
        ("https://host/a@b?x=1", "https://host/a@b?x=1"),
        ("GET /task/new?token=abc&x=1", "GET /task/new?token=***&x=1"),
        (
            "https://b/k?X-Amz-Credential=AKIA%2F1&X-Amz-Date=2&X-Amz-Signature=0af",
            "https://b/k?X-Amz-Credential=***&X-Amz-Date=2&X-Amz-Signature=***",
        ),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: ***"),
        ("sent Bearer eyJhbGciOi.x.y to host", "sent Bearer *** to host"),
        ('{"password": "p", "name": "n"}', '{"password": "***", "name": "n"}'),
        ("nothing to hide: 3 images", "nothing to hide: 3 images"),
    ],
)
def test_secrets_are_taken_out_of_text(text: str, expected: str) -> None:
    assert redact_text(text) == expected


def test_secrets_are_taken_out_of_nested_data() -> None:
    data = {
        "headers": [{"Cookie": "session=1"}, {"Authorization": "Bearer abc"}],
        "api_key": "abc",
        "token_count": 3,
        "setting": SecretStr("abc"),
        "url": "s3://bucket/key",
        "body": b"password=abc",
    }

    assert redact(data) == {
        "headers": [{"Cookie": "***"}, {"Authorization": "***"}],
        "api_key": "***",
        "token_count": 3,
        "setting": "***",
        "url": "s3://bucket/key",
        "body": "password=***",
    }


def test_data_that_contains_itself_comes_to_an_end() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop

    assert "…" in str(redact(loop))


@pytest.mark.timeout(60)
def test_redaction_of_long_text_takes_linear_time() -> None:
    for text in ("a" * 300_000, "token" * 60_000, "://" * 100_000, 'password="' * 30_000, "bearer " * 40_000):
        redact_text(text)
