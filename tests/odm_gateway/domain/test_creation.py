from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from odm_gateway.domain.creation import asked_task, wanted_outputs
from odm_gateway.domain.options import OptionTable
from odm_gateway.domain.tasks import Task
from shared.errors import InvalidInputError

TABLE = OptionTable.parse(files("odm_gateway").joinpath("odm-options.json").read_text("utf-8"), host_cores=2)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def asked(**fields: Any) -> Task:
    return asked_task("t", "ann", fields, TABLE, NOW)


def test_fields_become_a_task() -> None:
    task = asked(name="a", dateCreated="1700000000123", skipPostProcessing="true", webhook="https://a/b")
    assert (task.name, task.tenant, task.options, task.webhook) == ("a", "ann", (), "https://a/b")
    assert round(task.created_at.timestamp() * 1000) == 1_700_000_000_123


@pytest.mark.parametrize(("fields", "name"), [({}, None), ({"name": ""}, ""), ({"name": 5}, "5")])
def test_a_name_may_be_missing_or_empty(fields: dict[str, Any], name: str | None) -> None:
    assert asked(**fields).name == name


@pytest.mark.parametrize("date", ["", "soon", "Infinity", "9" * 30])
def test_dates_that_are_none_are_now(date: str) -> None:
    assert asked(dateCreated=date).created_at == NOW


@pytest.mark.parametrize("skip", ["true", True, "TRUE", "1", None])
def test_only_true_skips_post_processing(skip: object) -> None:
    task = asked(skipPostProcessing=skip)
    assert task.post_processing is (skip not in ("true", True))
    assert bool(task.options) is task.post_processing


@pytest.mark.parametrize("fields", [{"options": "["}, {"webhook": "ftp://a"}, {"outputs": "["}])
def test_wrong_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        asked(**fields)


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ('["a/b", "a//b/", "./a/b"]', ("a/b",)),
        ('["../../x", "/y", "a/../../z", "..\\\\w"]', ("x", "y", "z", "w")),
        ('["", ".", "..", "/", "a\\u0000b", 1, null]', ()), ("", ()), (None, ()), ("{}", ()), (["a"], ("a",)),
    ],
)  # fmt: skip
def test_outputs_stay_below_the_project(raw: object, paths: tuple[str, ...]) -> None:
    assert wanted_outputs(raw) == paths
