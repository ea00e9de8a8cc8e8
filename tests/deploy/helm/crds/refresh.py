"""Make the CRDs beside this file anew, from the Go types that operators publish: needs Go, and minutes.

python -m tests.deploy.helm.crds.refresh
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
GENERATOR = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.18.0"
TYPES = {
    "github.com/kedacore/keda/v2/apis/keda/v1alpha1@v2.20.0": ("ScaledObject", "TriggerAuthentication"),
    "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1@v0.85.0": (
        "PodMonitor",
        "PrometheusRule",
        "ServiceMonitor",
    ),
    "sigs.k8s.io/gateway-api/apis/v1@v1.4.0": ("HTTPRoute",),
    "github.com/external-secrets/external-secrets/apis/externalsecrets/v1@v0.19.2": ("ExternalSecret",),
    "github.com/mongodb/mongodb-kubernetes-operator/api/v1@v0.9.0": ("MongoDBCommunity",),
}
"""Packages, by version, and the kinds that the chart makes of theirs."""


def main() -> None:
    """Write one file for each kind."""
    for package, kinds in TYPES.items():
        with tempfile.TemporaryDirectory() as folder:
            for made in generated(Path(folder), package):
                crd = yaml.safe_load(made.read_text(encoding="utf-8"))
                if crd["spec"]["names"]["kind"] in kinds:
                    write(crd, package)


def generated(folder: Path, package: str) -> list[Path]:
    """Return the CRDs of all kinds of a package."""
    go = shutil.which("go") or sys.exit("Go is needed")
    out = folder / "out"
    (folder / "go.mod").write_text("module crds\n")
    environment = os.environ | {"GOFLAGS": "-mod=mod"}
    marks = "crd:crdVersions=v1,maxDescLen=0,allowDangerousTypes=true"
    for command in (
        ["get", GENERATOR],
        ["get", package],
        ["run", GENERATOR.partition("@")[0], marks, f"paths={package.partition('@')[0]}"],
    ):
        more = [f"output:crd:dir={out}"] if command[0] == "run" else []
        # The generator fails over marks of kinds that are of no interest here, and has written the others.
        subprocess.run([go, *command, *more], cwd=folder, env=environment, check=command[0] == "get")
    return sorted(out.glob("*.yaml"))


def write(crd: dict[str, Any], package: str) -> None:
    """Keep of a CRD what is asked of objects: no status, no more versions than the served one."""
    spec = crd["spec"]
    [version] = [each for each in spec["versions"] if each["storage"]]
    version["schema"]["openAPIV3Schema"]["properties"].pop("status", None)
    version.pop("additionalPrinterColumns", None)
    version["subresources"] = {}
    kept = {
        "apiVersion": crd["apiVersion"],
        "kind": crd["kind"],
        "metadata": {
            "name": crd["metadata"]["name"],
            "annotations": {"flightline.example.org/generated-from": package} | _approval(spec["group"]),
        },
        "spec": {**spec, "versions": [version]},
    }
    path = HERE / f"{spec['names']['plural']}.{spec['group']}.yaml"
    path.write_text(yaml.safe_dump(kept, sort_keys=False, width=120), encoding="utf-8")


def _approval(group: str) -> dict[str, str]:
    """Groups of Kubernetes itself have to say where they were approved, or no API server takes them."""
    is_of_kubernetes = group.endswith(".k8s.io")
    return {"api-approved.kubernetes.io": "unapproved, for tests"} if is_of_kubernetes else {}


if __name__ == "__main__":
    main()
