from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.objects.open import open_objects
from tests.odm_gateway.steps.cluster_job import ClusterJob, cluster_job


@pytest.fixture
async def job(tmp_path: Path) -> AsyncIterator[ClusterJob]:
    url = (tmp_path / "objects").as_uri()
    async with open_objects(url) as objects:
        yield cluster_job(objects, url, tmp_path)
