from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from odm_gateway.domain.completion import completion
from odm_gateway.domain.tasks import Status, Task, canceled, ended, restarted
from odm_gateway.domain.webhooks import (
    PATIENCE,
    attempt_of,
    forgotten_at,
    hooks_to_tell,
    payload,
    task_of,
    told,
    webhook_url,
)
from shared.errors import InvalidInputError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=90)


def done(**changes: Any) -> Task:
    facts = {"id": "t", "created_at": NOW, "started_at": NOW, "inserted_us": 1, "images": "p"}
    return ended(Task.model_validate({**facts, **changes}), Status.COMPLETED, LATER, assets=("all.zip",))


@pytest.mark.parametrize("raw", [None, 7, "", "abc", "  abc  "])
def test_so_few_characters_are_no_webhook(raw: object) -> None:
    assert webhook_url(raw) is None


@pytest.mark.parametrize("raw", ["https://a/b?c=d", " HTTP://a ", "http://user:pw@[::1]:8080/"])
def test_http_urls_are_webhooks(raw: str) -> None:
    assert webhook_url(raw) == raw.strip()


@pytest.mark.parametrize(
    "raw",
    [
        "file:///etc/passwd",
        "http:///x?secret",
        "secret",
        "http://[::1",
        "//secret/",
        "http://a:secret/",
        "http://a:0/",
    ],
)
def test_what_is_no_http_url_is_refused_and_not_repeated(raw: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        webhook_url(raw)
    assert "secret" not in str(caught.value)


def test_an_attempt_is_known_by_its_event() -> None:
    first = done()
    second = restarted(first, LATER)
    assert second is not None
    assert attempt_of(second, completion(first, None).id) == 1
    assert attempt_of(second, "another") is None


def test_only_who_has_not_heard_is_told() -> None:
    task = done(webhook="https://mine")
    assert [hook.name for hook in hooks_to_tell(task, "https://node", 1)] == ["task", "node"]
    half = told(task, 1, ["node"])
    assert [hook.name for hook in hooks_to_tell(half, "https://node", 1)] == ["task"]
    assert len(hooks_to_tell(half, "https://node", 2)) == 2
    assert hooks_to_tell(done(), None, 1) == []


def test_only_the_hook_of_the_operator_is_trusted() -> None:
    hooks = hooks_to_tell(done(webhook="https://mine"), "https://node", 1)
    assert [hook.is_trusted for hook in hooks] == [False, True]


def test_a_payload_tells_the_end_as_it_was_whatever_came_after() -> None:
    task = done()
    end = completion(task, "file:///products/t").data
    now_canceled, again = canceled(task, LATER), restarted(task, LATER)
    assert again is not None
    for later in (now_canceled, again):
        body = payload(later, end, [])
        assert (body["status"], body["processingTime"], body["progress"]) == ({"code": 40}, 90_000, 100)
        assert (body["outputs"], body["assets"]) == ("file:///products/t", ["all.zip"])


def test_of_a_task_that_is_gone_the_event_tells_enough() -> None:
    end = completion(done(name="Field"), None).data
    body = payload(task_of(end), end, [])
    assert (body["uuid"], body["name"], body["processingTime"]) == ("t", "Field", 90_000)


def test_a_removed_task_waits_for_its_hook_and_for_nothing_else() -> None:
    task = done(webhook="https://mine")
    assert forgotten_at(task, NOW) == NOW + PATIENCE
    assert forgotten_at(told(task, 1, ["task"]), NOW) == forgotten_at(done(), NOW) == NOW
