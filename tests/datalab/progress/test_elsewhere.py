"""What a worker in another process does is told by the process that clients talk to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.datalab.api.calling import made, operations, uploaded
from tests.datalab.progress.following import following
from tests.support.columns import Column, server_backends
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import RunningLab, running_lab
from tests.support.rabbitmq import session_rabbitmq
from tests.support.s3 import S3Server
from tests.support.zygote import zygote

TAKE_S = 3.0


@contextmanager
def with_a_worker(column: Column) -> Iterator[RunningLab]:
    """Run datalab without workers of its own, and a worker beside it."""
    environment = {**column.environment, "DATALAB_WORKERS": "1"}
    with (
        running_lab(column.home / "lab", known=REGISTRY, platform=column.settings) as lab,
        zygote("tests.support.datalab_worker") as parent,
    ):
        log = column.home / "worker.log"
        worker = parent.start("tests.support.datalab_worker:main", ["datalab"], environment, log)
        try:
            yield lab
        finally:
            worker.close()


@pytest.mark.parametrize("backends", ["embedded", pytest.param("servers", marks=pytest.mark.long)])
def test_a_worker_elsewhere_is_followed_to_the_end(
    request: pytest.FixtureRequest, backends: str, tmp_path: Path
) -> None:
    column = Column(tmp_path)
    if backends == "servers":
        s3: S3Server = request.getfixturevalue("s3")
        mongo_url: str = request.getfixturevalue("mongo_url")
        column = Column(tmp_path, server_backends(session_rabbitmq(request.config), mongo_url, s3))

    with with_a_worker(column) as lab:
        me = lab.user()
        session = made(me)["id"]
        with following(me, session) as stream:
            inputs = {"input_files": [uploaded(me)], "take_s": TAKE_S}
            answer = me.post(operations(session), json={"name": "Sum", "input_data": inputs})
            told = stream.until(status="COMPLETED")

    done = [one["operation_progress"] for one in told]
    assert answer.status_code == 201, answer.text
    assert {one["id"] for one in told} == {answer.json()["id"]}
    assert done == sorted(done)
    assert any(0 < one < 1 for one in done)
    assert done[-1] == 1.0
