from typing import Any

import pytest

from odm_gateway.domain.identity import (
    completion_id,
    is_task_uuid,
    new_task_id,
    task_id_of,
    task_key,
    workflow_name,
)
from shared.events import ImagesStaged, Option, Scale


def staged(**changes: Any) -> ImagesStaged:
    facts = {"flight_id": "f", "version": "v", "prefix": "s3://b/p", "image_count": 1, "total_bytes": 1}
    return ImagesStaged.model_validate({**facts, **changes})


OPTIONS = [Option(name="dsm", value=True), Option(name="crop", value=2.0)]


def test_the_order_of_options_makes_no_other_task() -> None:
    assert task_id_of(staged(), OPTIONS) == task_id_of(staged(prefix="s3://b/other"), OPTIONS[::-1])


@pytest.mark.parametrize(
    "changes", [{"flight_id": "g"}, {"version": "w"}, {"rerun": 1}, {"scale": Scale(requested=2, applied=2)}]
)
def test_other_work_is_another_task(changes: dict[str, Any]) -> None:
    assert task_id_of(staged(**changes), OPTIONS) != task_id_of(staged(), OPTIONS)


def test_other_options_are_another_task() -> None:
    assert task_id_of(staged(), OPTIONS) != task_id_of(staged(), OPTIONS[:1])


def test_ids_of_tasks_are_uuids_that_clients_could_set() -> None:
    assert is_task_uuid(task_id_of(staged(), []))


def test_each_attempt_has_its_own_completion_and_so_has_a_later_task_of_the_same_id() -> None:
    first = completion_id("a", 7, 1)
    assert first == completion_id("a", 7, 1)
    assert len({first, completion_id("a", 7, 2), completion_id("a", 8, 1)}) == 3


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("4dbeb9e0-8b0c-4a6e-8a52-0c0c4f2a8d11", True), ("4DBEB9E0-8B0C-7A6E-BA52-0C0C4F2A8D11", True),
        ("4dbeb9e0-8b0c-8a6e-8a52-0c0c4f2a8d11", False), ("4dbeb9e0-8b0c-4a6e-ca52-0c0c4f2a8d11", False),
        ("4dbeb9e08b0c4a6e8a520c0c4f2a8d11", False), ("", False),
    ],
)  # fmt: skip
def test_set_uuids_are_of_version_1_to_7(text: str, is_one: bool) -> None:
    assert is_task_uuid(text) is is_one


def test_a_task_is_found_by_its_id_and_by_its_workflow() -> None:
    uuid = "4DBEB9E0-8b0c-4a6e-8a52-0c0c4f2a8d11"
    assert workflow_name(uuid, 1) == f"odm-pipeline-{uuid.lower()}"
    assert task_key(uuid) == task_key(workflow_name(uuid, 1)) == uuid.lower()


def test_a_new_task_is_named_as_its_workflow_and_each_attempt_has_another() -> None:
    task_id = new_task_id()
    assert task_id != new_task_id()
    assert task_key(task_id) == workflow_name(task_id, 1) == task_id
    assert workflow_name(task_id, 2) == f"{task_id}-a2"
