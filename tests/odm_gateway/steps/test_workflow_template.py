"""The manifests in ``deploy/argo``: against Argo's published models, themselves, and our code."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import models

from odm_gateway.adapters.argo.kubernetes import PERMISSIONS
from odm_gateway.adapters.argo.outcome import ODM_STEP
from odm_gateway.adapters.argo.submission import Recipe, workflow
from odm_gateway.domain.sizing import Limits, size_of
from odm_gateway.ports import Job
from odm_gateway.steps.__main__ import parser
from shared.settings import PlatformSettings

ARGO = Path(__file__).parents[3] / "deploy/argo"
JOB = Job("t", "odm-pipeline-t", "staging/flight", None, (), "products/t", image_count=100)
GIVEN = {
    parameter["name"]: parameter["value"]
    for parameter in workflow(
        JOB,
        size_of(100, 0, (), Limits(memory_gib=(4, 256))),
        Recipe("odm-standard", "odm:1"),
        "s3://b/job.json",
    )["spec"]["arguments"]["parameters"]
}
Document = dict[str, Any]


def patched(document: Document, operations: list[Document]) -> Document:
    """Apply a JSON patch, as far as the variants use it."""
    result = copy.deepcopy(document)
    for operation in operations:
        *path, last = operation["path"].strip("/").split("/")
        place: Any = result
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        match operation["op"]:
            case "test":
                assert place[last] == operation["value"]
            case "remove":
                del place[last]
            case "replace":
                assert last in place
                place[last] = operation["value"]
            case "add":
                assert last not in place
                place[last] = operation["value"]
            case other:
                raise AssertionError(other)
    return result


def variants() -> Iterator[tuple[str, Document]]:
    standard = yaml.safe_load((ARGO / "odm-standard.yaml").read_text())
    yield "standard", standard
    for path in sorted(ARGO.glob("variants/*/kustomization.yaml")):
        [patch] = yaml.safe_load(path.read_text())["patches"]
        assert patch["target"] == {"kind": "WorkflowTemplate", "name": standard["metadata"]["name"]}
        yield path.parent.name, patched(standard, yaml.safe_load(patch["patch"]))


VARIANTS = dict(variants())


@pytest.fixture(params=list(VARIANTS))
def template(request: pytest.FixtureRequest) -> Document:
    return VARIANTS[request.param]


def templates(document: Document) -> dict[str, Document]:
    return {template["name"]: template for template in document["spec"]["templates"]}


def containers(document: Document) -> list[Document]:
    return [
        container
        for template in templates(document).values()
        for container in (
            *template.get("initContainers", ()), *template.get("sidecars", ()),
            *filter(None, [template.get("container")]),
        )
    ]  # fmt: skip


def test_argos_models_know_every_field(template: Document) -> None:
    known = models.WorkflowTemplate.model_validate(template)
    assert json.loads(known.model_dump_json(by_alias=True, exclude_unset=True)) == template


def test_a_misspelt_field_would_be_noticed() -> None:
    misspelt = patched(
        VARIANTS["standard"], [{"op": "add", "path": "/spec/templates/1/retryStrateg", "value": {}}]
    )
    known = models.WorkflowTemplate.model_validate(misspelt)
    assert json.loads(known.model_dump_json(by_alias=True, exclude_unset=True)) != misspelt


def test_every_template_that_is_used_is_there_and_the_other_way_round(template: Document) -> None:
    entry = templates(template)[template["spec"]["entrypoint"]]
    used = [task["template"] for task in entry["dag"]["tasks"]]
    assert used == ["fetch", ODM_STEP, "publish"]
    assert set(templates(template)) == {"job", *used}
    assert [task.get("depends") for task in entry["dag"]["tasks"]] == [None, *used[:-1]]


def test_parameters_that_are_used_are_declared_and_those_of_the_gateway_are_used(template: Document) -> None:
    declared = {parameter["name"] for parameter in template["spec"]["arguments"]["parameters"]}
    used = set(re.findall(r"workflow\.parameters\.([a-z0-9-]+)", json.dumps(template)))
    assert used <= declared
    assert set(GIVEN) <= declared
    assert declared - set(GIVEN) == {"steps-image"}
    assert set(GIVEN) - used <= {"job", "capacity"}  # to be seen by people


def test_every_container_is_restricted_bounded_and_says_its_command(template: Document) -> None:
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert len(containers(template)) == 5
    for container in containers(template):
        assert container["command"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_every_volume_that_is_mounted_is_there_and_the_other_way_round(template: Document) -> None:
    for part in templates(template).values():
        mounted = {mount["name"] for mount in re_mounts(part)}
        assert mounted == {volume["name"] for volume in part.get("volumes", ())}


def re_mounts(part: Document) -> list[Document]:
    return [
        mount
        for container in containers({"spec": {"templates": [part]}})
        for mount in container["volumeMounts"]
    ]


def test_every_pod_has_a_deadline_and_a_bounded_number_of_starts(template: Document) -> None:
    for name in ("fetch", ODM_STEP, "publish"):
        part = templates(template)[name]
        assert part["activeDeadlineSeconds"]
        assert 0 < part["retryStrategy"]["limit"] <= 5


@pytest.mark.parametrize("start", range(4))
def test_each_start_of_odm_gets_the_next_rung_of_memory(template: Document, start: int) -> None:
    [container] = rendered(template, start)["podSpecPatch"]["containers"]
    assert container["name"] == "main"
    rung = GIVEN[f"mem{start}"]
    assert container["resources"]["requests"] == {"cpu": GIVEN["cpu"], "memory": rung}
    assert container["resources"]["limits"] == {"memory": rung, "nvidia.com/gpu": "0"}


def rendered(document: Document, start: int, **given: str) -> Document:
    """Return the odm step as Argo sends it to Kubernetes, its ``podSpecPatch`` read as what it patches."""
    known = {one["name"]: one.get("value", "") for one in document["spec"]["arguments"]["parameters"]}
    parameters = {**known, **GIVEN, **given}
    ternary = re.compile(
        r"\{\{=asInt\(retries\) >= (\d) \? '([a-z-]+)' : workflow\.parameters\.([a-z-]+)\}\}"
    )
    ladder = re.compile(r"\{\{=\[((?:workflow\.parameters\.mem\d(?:, )?)+)\]\[asInt\(retries\)\]\}\}")

    def text(value: str) -> str:
        value = ternary.sub(lambda it: it[2] if start >= int(it[1]) else parameters[it[3]], value)
        value = ladder.sub(lambda it: parameters[it[1].split(", ")[start].rpartition(".")[2]], value)
        value = re.sub(r"\{\{workflow\.parameters\.([a-z0-9-]+)\}\}", lambda it: parameters[it[1]], value)
        assert "{{" not in value, value
        return value

    def filled(value: Any) -> Any:
        match value:
            case str():
                return text(value)
            case dict():
                return {name: filled(one) for name, one in value.items()}
            case list():
                return [filled(one) for one in value]
            case _:
                return value

    odm: Document = filled(templates(document)[ODM_STEP])
    odm["podSpecPatch"] = json.loads(odm["podSpecPatch"])
    return odm


def preferred(odm: Document) -> list[str]:
    [wish] = odm["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    [label] = wish["preference"]["matchExpressions"]
    assert label["key"] == "karpenter.sh/capacity-type"
    return list(label["values"])


@pytest.mark.parametrize(
    ("capacity", "kinds"),
    [("spot", ["spot", "spot", "spot", "on-demand"]), ("on-demand", ["on-demand"] * 4)],
)
def test_the_last_start_is_not_on_a_spot_node(capacity: str, kinds: list[str]) -> None:
    for start, kind in enumerate(kinds):
        assert preferred(rendered(VARIANTS["standard"], start, capacity=capacity)) == [kind]
        strict = rendered(VARIANTS["karpenter"], start, capacity=capacity)
        assert strict["nodeSelector"] == {"karpenter.sh/capacity-type": kind}
        assert "affinity" not in strict


def test_a_job_with_a_gpu_asks_for_one_and_for_a_node_that_has_it() -> None:
    document = VARIANTS["gpu"]
    assert document["metadata"]["name"] == "odm-gpu"
    odm = rendered(document, 0, **{"gpu": "1", "odm-image": "odm:gpu"})
    [container] = odm["podSpecPatch"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert odm["container"]["image"] == "odm:gpu"
    assert odm["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert odm["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    for step in ("fetch", "publish"):  # they need none, and such nodes are dear
        assert "nodeSelector" not in templates(document)[step]


def test_all_pods_of_a_job_can_be_kept_to_nodes_of_their_own() -> None:
    spec = VARIANTS["node-pool"]["spec"]
    assert spec["nodeSelector"] == {"flightline.io/pool": "odm"}
    [toleration] = spec["tolerations"]
    assert (toleration["key"], toleration["value"]) == ("flightline.io/pool", "odm")


def retried(
    template: Document, step: str, *, status: str = "Failed", code: int = -1, message: str = ""
) -> bool:
    """Evaluate a retry expression; what it uses of Argo's language is nearly Python."""
    expression = templates(template)[step]["retryStrategy"]["expression"]
    expression = re.sub(r"lastRetry\.message matches ('[^']*')", r"bool(re.search(\1, message))", expression)
    expression = re.sub(r"!(?!=)", " not ", expression).replace("&&", "and").replace("||", "or")
    expression = expression.replace("lastRetry.status", "status").replace("asInt(lastRetry.exitCode)", "code")
    return bool(eval(expression, {"re": re, "status": status, "code": code, "message": message}))


@pytest.mark.parametrize(
    ("told", "is_so"),
    [
        ({"code": 137, "message": "OOMKilled (exit code 137)"}, True),
        ({"code": 137, "message": "Error (exit code 137)"}, True),
        ({"code": 143, "message": "Error (exit code 143)"}, True),
        ({"status": "Error", "message": "pod deleted"}, True),
        ({"message": "Pod was terminated in response to imminent node shutdown."}, True),
        ({"message": "The node was low on resource: memory."}, True),
        ({"code": 137, "message": 'Usage of EmptyDir volume "tmp" exceeds the limit "20Gi".'}, False),
        ({"code": 137, "message": "Pod ephemeral local storage usage exceeds the total limit"}, False),
        ({"code": 1, "message": "Error (exit code 1)"}, False),
        ({"code": 139, "message": "Error (exit code 139)"}, False),
        ({"code": 3, "message": "Error (exit code 3)"}, False),
        ({"code": 127, "message": "Error (exit code 127)"}, False),
        ({"code": 2, "message": "Error (exit code 2)"}, False),
        ({"code": 74, "message": "Error (exit code 74)"}, False),
        ({"code": 143, "message": "Pod was active on the node longer than the specified deadline"}, False),
    ],
)
def test_odm_is_started_again_only_if_that_can_help(
    template: Document, told: Document, *, is_so: bool
) -> None:
    assert retried(template, ODM_STEP, **told) is is_so


@pytest.mark.parametrize("step", ["fetch", "publish"])
@pytest.mark.parametrize(
    ("code", "is_so"), [(75, True), (137, True), (143, True), (-1, True), (1, True), (2, False)]
)
def test_our_steps_are_repeated_unless_they_say_that_it_is_of_no_use(
    template: Document, step: str, code: int, *, is_so: bool
) -> None:
    assert retried(template, step, code=code) is is_so


def test_the_steps_are_called_as_they_want_to_be(template: Document) -> None:
    steps = [
        container for container in containers(template) if container["command"][-1] == "odm_gateway.steps"
    ]
    assert [parser().parse_args(container["args"]).step for container in steps] == [
        "fetch",
        "ship",
        "publish",
    ]


def test_variables_of_the_steps_are_settings(template: Document) -> None:
    names = {variable["name"] for container in containers(template) for variable in container.get("env", ())}
    ours = {name for name in names if name.startswith("FLIGHTLINE_")}
    assert ours <= {f"FLIGHTLINE_{field.upper()}" for field in PlatformSettings.model_fields}


def test_the_gateway_may_do_what_its_code_does_and_no_more() -> None:
    documents = list(yaml.safe_load_all((ARGO / "rbac.yaml").read_text()))
    roles = {one["metadata"]["name"]: one["rules"] for one in documents if one["kind"] == "Role"}
    needed = [
        ([resource.api_version.rpartition("/")[0]], [resource.plural], sorted(verbs))
        for resource, verbs in PERMISSIONS.items()
    ]
    allowed = [(rule["apiGroups"], rule["resources"], sorted(rule["verbs"])) for rule in roles["odm-gateway"]]
    assert allowed == needed
    assert roles["flightline-odm"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]


def test_the_template_runs_as_whom_the_roles_are_for() -> None:
    accounts = {
        one["metadata"]["name"]
        for one in yaml.safe_load_all((ARGO / "rbac.yaml").read_text())
        if one["kind"] == "ServiceAccount"
    }
    assert VARIANTS["standard"]["spec"]["serviceAccountName"] in accounts


def test_argo_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    if (argo := shutil.which("argo")) is None:
        pytest.skip("argo is not installed on this machine")
    for name, document in VARIANTS.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        subprocess.run([argo, "lint", "--offline", str(path)], check=True)
