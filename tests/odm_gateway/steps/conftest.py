from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.objects.open import open_objects
from tests.odm_gateway.steps.cluster_job import ClusterJob, Steps, cluster_job
from tests.support.zygote import zygote


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    """Have a process that has imported what steps need."""
    with zygote("odm_gateway.steps.__main__", "odm_gateway.steps.doing") as parent:
        yield Steps(parent, tmp_path_factory.mktemp("steps"))


@pytest.fixture
async def job(steps: Steps, tmp_path: Path) -> AsyncIterator[ClusterJob]:
    url = (tmp_path / "objects").as_uri()
    async with open_objects(url) as objects:
        yield cluster_job(steps, objects, url, tmp_path)
