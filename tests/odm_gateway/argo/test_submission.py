"""The manifests, without a cluster."""

from dataclasses import replace
from datetime import timedelta

import pytest

from odm_gateway.adapters.argo.submission import (
    SUBMODEL_LABEL,
    Recipe,
    claim,
    is_of,
    label_value,
    workflow,
)
from odm_gateway.domain.sizing import Size
from shared.events import Option
from tests.support.kubernetes.controller import PARAMETERS
from tests.support.kubernetes.engine import RECIPE, job

SIZE = Size((24, 36, 54, 81), 3, 40, timedelta(hours=8), "spot")
URI = "s3://bucket/jobs/x/job.json"
ON_GPU = Recipe("odm-standard", "odm:1", gpu_image="odm:gpu")


def parameters(recipe: Recipe = RECIPE, **facts: object) -> dict[str, str]:
    made = workflow(job(**facts), SIZE, recipe, URI)  # type: ignore[arg-type]
    return {given["name"]: given["value"] for given in made["spec"]["arguments"]["parameters"]}


def test_a_workflow_carries_the_parameters_of_its_template_and_nothing_else() -> None:
    made = workflow(job(), SIZE, RECIPE, URI)
    assert set(parameters()) == PARAMETERS
    assert set(made["spec"]) == {"workflowTemplateRef", "arguments", "ttlStrategy", "podGC"}
    assert made["spec"]["workflowTemplateRef"] == {"name": "odm-standard"}


def test_parameters_are_texts_that_kubernetes_reads_as_quantities() -> None:
    given = parameters()
    assert [given[f"mem{rung}"] for rung in range(4)] == ["24Gi", "36Gi", "54Gi", "81Gi"]
    assert (given["cpu"], given["deadline-seconds"], given["capacity"]) == ("3", "28800", "spot")
    assert (given["manifest"], given["workspace"]) == (URI, f"ws-{job().name}")


@pytest.mark.parametrize(
    ("recipe", "options", "image", "gpu"),
    [
        (RECIPE, (), "docker.io/opendronemap/odm:latest", "0"),
        (ON_GPU, (), "odm:gpu", "1"),
        (ON_GPU, (Option(name="no-gpu", value=True),), "odm:1", "0"),
        (ON_GPU, (Option(name="no-gpu", value=False),), "odm:gpu", "1"),
    ],
)
def test_a_gpu_is_used_where_there_is_an_image_for_it_and_nobody_minds(
    recipe: Recipe, options: tuple[Option, ...], image: str, gpu: str
) -> None:
    given = parameters(recipe, options=options)
    assert (given["odm-image"], given["gpu"]) == (image, gpu)


def test_tasks_with_a_gpu_may_run_by_a_template_of_their_own() -> None:
    recipe = replace(ON_GPU, gpu_template="odm-gpu")
    no_gpu = job(options=(Option(name="no-gpu", value=True),))
    for wanted, template in ((job(), "odm-gpu"), (no_gpu, "odm-standard")):
        made = workflow(wanted, SIZE, recipe, URI)
        assert made["spec"]["workflowTemplateRef"] == {"name": template}


def test_parts_of_tasks_are_labelled_as_such() -> None:
    assert workflow(job(is_submodel=True), SIZE, RECIPE, URI)["metadata"]["labels"][SUBMODEL_LABEL] == "true"
    assert SUBMODEL_LABEL not in workflow(job(), SIZE, RECIPE, URI)["metadata"]["labels"]


def test_the_workspace_has_the_jobs_size_and_the_chosen_class() -> None:
    chosen = Recipe("t", "i", storage_class="fast")
    spec = claim(job(), SIZE, chosen)["spec"]
    assert spec == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "40Gi"}},
        "storageClassName": "fast",
    }
    assert "storageClassName" not in claim(job(), SIZE, RECIPE)["spec"]


def test_what_we_made_is_known_by_its_labels() -> None:
    one, other = job(), job("odm-pipeline-other")
    assert is_of(workflow(one, SIZE, RECIPE, URI), one)
    assert not is_of(workflow(one, SIZE, RECIPE, URI), other)
    assert not is_of({"metadata": {"name": one.name}}, one)


@pytest.mark.parametrize(
    ("text", "label"),
    [("alice", "alice"), ("user:alice", "user_alice"), ("Ä & Co.", "Co"), ("", ""), ("x" * 80, "x" * 63)],
)
def test_any_text_becomes_a_label_that_kubernetes_takes(text: str, label: str) -> None:
    assert label_value(text) == label
