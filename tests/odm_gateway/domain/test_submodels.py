from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from odm_gateway.domain.submodels import (
    CLUSTER,
    is_scoped_token,
    scoped_task,
    scoped_token,
    splits,
    with_cluster,
)
from odm_gateway.domain.tasks import Status, Task
from shared.events import Option

TASK = Task(
    id="4DBEB9E0-8b0c-4a6e-8a52-0c0c4f2a8d11",
    created_at=datetime(2026, 5, 1, tzinfo=UTC),
    inserted_us=1,
    images="i",
    status=Status.RUNNING,
    cluster_secret="se-c_ret",
    options=(Option(name="split", value=100), Option(name=CLUSTER, value="None")),
)


def options(**values: str | int) -> list[Option]:
    return [Option(name=name.replace("_", "-"), value=value) for name, value in values.items()]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (options(split=100), True),
        (options(split=100, sm_cluster="None"), True),
        (options(split=999_999), False),
        (options(dsm="true"), False),
        (options(split=100, sm_cluster="http://elsewhere:3000"), False),
    ],
)
def test_only_splits_that_nobody_else_works_on_come_back(asked: list[Option], *, expected: bool) -> None:
    assert splits(asked) is expected


def test_the_option_names_the_gateway_once_with_a_token_that_names_the_task() -> None:
    [cluster] = [
        option.value for option in with_cluster(TASK, "http://gateway:31100/") if option.name == CLUSTER
    ]
    url = urlsplit(str(cluster))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "http://gateway:31100/"
    [token] = parse_qs(url.query)["token"]
    assert scoped_task(token) == TASK.id.lower()
    assert is_scoped_token(TASK, token)


def test_a_scoped_token_counts_only_while_its_task_is_open_and_only_whole() -> None:
    token = scoped_token(TASK)
    assert not is_scoped_token(TASK.model_copy(update={"status": Status.COMPLETED}), token)
    assert not is_scoped_token(TASK, token[:-1])
    assert not is_scoped_token(TASK.model_copy(update={"cluster_secret": ""}), "submodel.x.")


@pytest.mark.parametrize("token", ["", "abc", "submodel.", "submodel.x", "submodel..s"])
def test_other_tokens_are_not_scoped(token: str) -> None:
    assert scoped_task(token) is None
