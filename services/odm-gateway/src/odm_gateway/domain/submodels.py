"""Split-merge: a task that splits its images hands the parts back to the gateway, as tasks of their own.

ODM drives a NodeODM API that its option ``sm-cluster`` names (``opendm/remote.py``); here that is ours.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from urllib.parse import urlencode

from odm_gateway.domain.identity import task_key
from odm_gateway.domain.tasks import Task
from shared.events import Option

SPLIT = "split"
CLUSTER = "sm-cluster"
NO_SPLIT = 999_999
"""ODM's default of ``split``: more images than anybody has."""
_UNSET = {"", "None"}
_PREFIX = "submodel"


def splits(options: Sequence[Option]) -> bool:
    """Return whether options ask for a split whose parts nobody else works on."""
    values = {option.name: option.value for option in options}
    wanted = values.get(SPLIT)
    return (
        isinstance(wanted, int | float) and 0 < wanted < NO_SPLIT and str(values.get(CLUSTER, "")) in _UNSET
    )


def with_cluster(task: Task, gateway_url: str) -> tuple[Option, ...]:
    """Return the task's options, with the gateway at ``gateway_url`` to work on its parts."""
    query = urlencode({"token": scoped_token(task)})
    others = [option for option in task.options if option.name != CLUSTER]
    return (*others, Option(name=CLUSTER, value=f"{gateway_url.rstrip('/')}/?{query}"))


def scoped_token(task: Task) -> str:
    """Return the token by which a running task makes parts of itself."""
    return f"{_PREFIX}.{task_key(task.id)}.{task.cluster_secret}"


def scoped_task(token: str) -> str | None:
    """Return the key of the task that ``token`` was given to, or None if it is no scoped token."""
    prefix, _, rest = token.partition(".")
    key, _, secret = rest.rpartition(".")
    return key if prefix == _PREFIX and key and secret else None


def is_scoped_token(task: Task, token: str) -> bool:
    """Return whether ``token`` was given to ``task``, which must still be open."""
    return (
        bool(task.cluster_secret)
        and not task.status.finished
        and hmac.compare_digest(token.encode(), scoped_token(task).encode())
    )
