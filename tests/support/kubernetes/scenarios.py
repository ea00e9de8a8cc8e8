"""What becomes of a workflow: scripts for the simulated controller."""

from __future__ import annotations

from dataclasses import dataclass

OOM_KILLED = "OOMKilled (exit code 137)"
NODE_SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
BACK_OFF = 'ImagePullBackOff: Back-off pulling image "registry.example/odm:nowhere"'
UNSCHEDULABLE = "Unschedulable: 0/3 nodes are available: 3 Insufficient memory."
UNBOUND = (
    "Unschedulable: 0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
EVICTED = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 88Mi. Container main was"
    " using 9Gi, request is 8Gi, has larger consumption of memory."
)
SCRATCH_FULL = 'Usage of EmptyDir volume "tmp" exceeds the limit "20Gi". '
TOO_LONG = "Pod was active on the node longer than the specified deadline"
UNREACHABLE = "pod deleted"


@dataclass(frozen=True)
class OdmRun:
    """One pod of the odm step."""

    exit_code: int = 0
    message: str = ""
    phase: str = "Failed"
    """How its node ends if it ends badly."""
    chunks: int = 3
    leaves_failure: bool = True
    """Whether the sidecar lived long enough to say how it ended."""
    failure_message: str | None = None


SUCCESS = OdmRun()


@dataclass(frozen=True)
class Scenario:
    """The life of one workflow."""

    runs: tuple[OdmRun, ...] = (SUCCESS,)
    step_s: float = 0.02
    """Time that each stage and each chunk takes."""
    stays_pending: str | None = None
    """What a pod says while it cannot start."""
    pending_step: str = "fetch"
    """Whose pod that is."""
    no_template: bool = False
    hangs: bool = False
    """ODM says nothing more after its first chunk, for ever."""
    fetch_fails: str | None = None
    publish_fails: str | None = None
    result: str = "whole"
    """``whole``, ``none``, ``late``, or ``incomplete``: a product that it names is missing."""
    ttl_s: float | None = None
    """How long after its end it is deleted."""
    packs_nodes: bool = False


HAPPY = Scenario()


def failing(exit_code: int, message: str | None = None) -> Scenario:
    """Return a job whose ODM ends with an exit code."""
    said = f"Error (exit code {exit_code})"
    return Scenario(runs=(OdmRun(exit_code, said, failure_message=message),))


def out_of_memory(times: int, *, then: OdmRun | None = SUCCESS) -> Scenario:
    """Return a job that climbs the memory ladder."""
    killed = OdmRun(137, OOM_KILLED, chunks=1)
    return Scenario(runs=(killed,) * times + ((then,) if then else ()))


def pod_lost(said: str, *, exit_code: int = 137) -> Scenario:
    """Return a job whose pod is taken away in every start."""
    return Scenario(runs=(OdmRun(exit_code, said, chunks=1, leaves_failure=False),) * 4)


def spot_lost(times: int, *, then: OdmRun | None = SUCCESS) -> Scenario:
    """Return a job whose node is taken away."""
    killed = OdmRun(143, NODE_SHUTDOWN, phase="Error", chunks=2, leaves_failure=False)
    return Scenario(runs=(killed,) * times + ((then,) if then else ()))
