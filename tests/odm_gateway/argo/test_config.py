import os
import subprocess
import sys
from pathlib import Path

import pytest

from odm_gateway.argo_config import Context, context_of
from odm_gateway.config import EngineKind, Settings


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("a", Context("a")), ("a=2", Context("a", 2)), ("a=0.5", Context("a", 0.5)),
        ("a=2:512", Context("a", 2, 512)), ("arn:aws:eks:eu:1:cluster/x", None), ("user@host", None),
        ("arn:aws:eks:eu:1:cluster/x=1:64", Context("arn:aws:eks:eu:1:cluster/x", 1, 64)),
    ],
)  # fmt: skip
def test_contexts_may_have_a_weight_and_a_size(text: str, context: Context | None) -> None:
    assert context_of(text) == (context or Context(text))


@pytest.mark.parametrize(
    "text", ["a=", "a=x", "a=0", "a=-1", "a=inf", "a=nan", "=2", "a=1:", "a=1:0", "a=1:-4", "a=1:x", "a=:8"]
)
def test_weights_and_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=WEIGHT"):
        Settings(argo_contexts=(text,))


def test_the_window_counts_for_every_cluster() -> None:
    settings = Settings(engine=EngineKind.ARGO, argo_contexts=("a", "b=2"), argo_window=10)
    assert (settings.at_once, Settings(tasks_at_once=3).at_once) == (20, 3)


def test_the_least_memory_is_no_more_than_the_most() -> None:
    with pytest.raises(ValueError, match="ARGO_MIN_MEMORY_GIB"):
        Settings(argo_min_memory_gib=10, argo_max_memory_gib=5)


def test_a_gateway_without_a_cluster_to_work_with_does_not_start(tmp_path: Path) -> None:
    ours = {
        "FLIGHTLINE_HOME": str(tmp_path),
        "ODM_GATEWAY_PORT": "0",
        "ODM_GATEWAY_ENGINE": "argo",
        "ODM_GATEWAY_ARGO_KUBECONFIG": str(tmp_path / "nowhere"),
    }
    command = [sys.executable, "-c", "from odm_gateway.main import run; run()"]
    ended = subprocess.run(
        command, env={**os.environ, **ours}, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "odm-gateway: There is no Kubernetes cluster to work with" in ended.stderr
    assert "Traceback" not in ended.stderr
