"""What can be set for the ``argo`` engine."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from odm_gateway.domain.sizing import ON_DEMAND_FROM_IMAGES
from shared.settings import CommaList, Duration


class Context(NamedTuple):
    """A context of the kubeconfig, and what is known of its cluster."""

    name: str
    weight: float = 1.0
    memory_gib: int | None = None
    """Most memory of a task there; None: no less than anywhere."""


class ArgoSettings(BaseModel):
    """Part of the gateway's settings; without effect on the other engines."""

    argo_contexts: Annotated[
        CommaList,
        Field(
            description="Contexts of the kubeconfig that tasks run in, as `NAME`, `NAME=WEIGHT` or"
            " `NAME=WEIGHT:GIB` with commas between them; a task goes to the emptiest for its weight, of"
            " those where it may have the GiB of memory that it needs. None named: the cluster that the"
            " gateway runs in, else the current context."
        ),
    ] = ()
    argo_kubeconfig: Annotated[
        Path | None, Field(description="Kubeconfig file; without it, `KUBECONFIG`, else the usual place.")
    ] = None
    argo_namespace: Annotated[
        str | None, Field(description="Namespace of the workflows; none: that of each context.")
    ] = None
    argo_template: Annotated[
        str, Field(min_length=1, description="Name of the WorkflowTemplate that tasks run by.")
    ] = "odm-standard"
    argo_odm_image: Annotated[str, Field(min_length=1, description="Image of ODM; pin it by digest.")] = (
        "docker.io/opendronemap/odm:latest"
    )
    argo_gpu_image: Annotated[
        str | None, Field(description="Image of ODM for tasks without `no-gpu`; none: nothing uses a GPU.")
    ] = None
    argo_gpu_template: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Name of the WorkflowTemplate for tasks that use a GPU, such as `odm-gpu`; none: that"
            " of the others.",
        ),
    ] = None
    argo_on_demand_from_images: Annotated[
        int,
        Field(
            ge=0,
            description="Tasks of so many images and more begin on on-demand nodes, others on spot nodes; 0:"
            " none begins on a spot node.",
        ),
    ] = ON_DEMAND_FROM_IMAGES
    argo_storage_class: Annotated[
        str | None, Field(description="Class of the tasks' volumes; none: the cluster's default.")
    ] = None
    argo_min_memory_gib: Annotated[int, Field(gt=0, description="Least memory of a task.")] = 4
    argo_max_memory_gib: Annotated[int, Field(gt=0, description="Most memory of a task.")] = 256
    argo_max_cores: Annotated[int, Field(gt=0, description="Most cores of a task.")] = 64
    argo_max_disk_gib: Annotated[int, Field(gt=0, description="Largest volume of a task.")] = 1_024
    argo_deadline: Annotated[
        Duration, Field(gt=timedelta(), description="How long ODM may work on a task at most.")
    ] = timedelta(hours=48)
    argo_window: Annotated[
        int,
        Field(
            gt=0,
            description="Tasks that a cluster has together, whichever gateway sent them, and as many"
            " submodels of theirs; others wait here.",
        ),
    ] = 300
    argo_poll: Annotated[
        Duration,
        Field(
            gt=timedelta(),
            description="How often a task's console is looked at; a third as often where nothing comes.",
        ),
    ] = timedelta(seconds=3)
    argo_look_every: Annotated[
        Duration,
        Field(gt=timedelta(), description="How often a workflow is asked for even if no change is heard of."),
    ] = timedelta(seconds=60)
    argo_stuck_after: Annotated[
        Duration,
        Field(gt=timedelta(), description="A workflow that runs, and in which nothing moves so long, fails."),
    ] = timedelta(hours=2)
    argo_trouble_after: Annotated[
        Duration,
        Field(
            description="A task whose container cannot start, for its image or a secret, fails after this."
        ),
    ] = timedelta(minutes=10)
    argo_no_room_after: Annotated[
        Duration, Field(description="A task that fits on no node of its cluster so long fails.")
    ] = timedelta(hours=6)

    @field_validator("argo_contexts", mode="after")
    @classmethod
    def _weights_are_numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            context_of(text)
        return value

    @model_validator(mode="after")
    def _memory_fits(self) -> Self:
        if self.argo_min_memory_gib > self.argo_max_memory_gib:
            raise ValueError(
                "ODM_GATEWAY_ARGO_MIN_MEMORY_GIB: expected no more than the most memory of a task"
            )
        return self

    @property
    def argo_tasks_at_once(self) -> int:
        """Return how many tasks all clusters together have room for."""
        return self.argo_window * max(1, len(self.argo_contexts))


def context_of(text: str) -> Context:
    """Read ``NAME``, ``NAME=WEIGHT`` or ``NAME=WEIGHT:GIB``.

    Raises:
        ValueError: It is neither, or a figure is not above 0.
    """
    name, equals, figures = text.rpartition("=")
    if not equals:
        return Context(text)
    weight, colon, memory = figures.partition(":")
    try:
        context = Context(name, float(weight), int(memory) if colon else None)
    except ValueError:
        context = Context("")
    has_memory = context.memory_gib is None or context.memory_gib > 0
    if not (context.name and 0 < context.weight < math.inf and has_memory):
        raise ValueError(f"expected NAME, NAME=WEIGHT or NAME=WEIGHT:GIB with figures above 0, not {text}")
    return context
