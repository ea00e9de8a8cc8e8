"""Data that are too large for documents: an object, and yet in the answer where one operation is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.large_data import with_data
from datalab.wire.answers import json_bytes
from shared.platform import Platform
from tests.datalab.execution.conftest import Lab, frames
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import RunningLab, running_lab

ROWS = 1000
"""Three times as much as documents keep."""


async def test_large_data_are_an_object_and_small_ones_are_not(lab: Lab) -> None:
    large = await lab.ended(await lab.ask("Sum", frames("frame1") | {"rows": ROWS}))
    small = await lab.ended(await lab.ask("Sum", frames("frame1") | {"rows": 2}))

    outcome = (await lab.computations.load(large.operation.key)).body.outcome
    assert outcome is not None
    assert outcome.data_file is not None
    assert outcome.data == ()
    (data,) = json.loads(await lab.platform.objects.read(outcome.data_file.key))
    assert (data["total"], data["nothing"], len(data["rows"])) == (100, None, ROWS)
    assert large.output is not None
    assert "output_data" not in large.output
    assert large.output["data_bytes"] == outcome.data_file.size_bytes
    assert small.output is not None
    assert len(small.output["output_data"][0]["rows"]) == 2
    documents = [(await lab.operations.load(one.operation.document_id)).record for one in (large, small)]
    assert all(len(json.dumps(one.body)) < 10_000 for one in documents)
    assert f"{outcome.data_file.key.rsplit('/', 1)[1]}" in (await lab.told(2))[0].data.assets


async def test_pictures_that_explain_large_data_stand_with_them(platform: Platform) -> None:
    stored = await platform.objects.put("datalab/k/a/k-data.json", b'[{"rows":[1,2]},{"more":null}]')
    data = {"key": stored.key, "size_bytes": stored.size_bytes}

    whole = await read(platform, shown({"diagnostic_images": {"a.fits": "http://x/a.jpg"}}, data))

    assert whole == {
        "data_url": "u",
        "output_data": [{"diagnostic_images": {"a.fits": "http://x/a.jpg"}, "rows": [1, 2]}, {"more": None}],
    }


async def test_an_answer_holds_so_many_data_and_the_urls_of_the_rest(platform: Platform) -> None:
    content = b'[{"text":"' + b"x" * (3 << 20) + b'"}]'
    stored = await platform.objects.put("datalab/k/a/k-data.json", content)
    data = {"key": stored.key, "size_bytes": stored.size_bytes}

    found = await with_data(platform.objects, [shown({}, data) for _ in range(4)])

    outputs = [one.output or {} for one in found]
    assert ["output_data" in output for output in outputs] == [True, True, False, False]
    assert {output["data_url"] for output in outputs} == {"u"}


async def test_data_that_expired_just_now_are_left_out(platform: Platform) -> None:
    assert await read(platform, shown({}, {"key": "datalab/k/a/gone.json", "size_bytes": 7})) == {
        "data_url": "u"
    }


def shown(output: dict[str, Any], data: dict[str, Any]) -> ShownOperation:
    facts = {"number": 1, "session": 1, "owner": "a", "name": "Sum", "input_data": {}, "created_us": 1}
    operation = AskedOperation.model_validate(facts)
    return ShownOperation(operation, State.COMPLETED, 1.0, "", {"data_url": "u", **output}, data)


async def read(platform: Platform, one: ShownOperation) -> Any:
    """Return the output as clients get it."""
    (whole,) = await with_data(platform.objects, [one])
    return json.loads(json_bytes(whole.output))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningLab]:
    """Run datalab with a worker and a folder of files."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.fits").write_bytes(b"\x02")
    root = str(tmp_path / "open")
    with running_lab(tmp_path / "home", known=REGISTRY, workers=1, file_roots=(root,)) as lab:
        yield lab


def test_clients_find_large_data_where_they_read_one_operation_or_session(
    service: RunningLab, tmp_path: Path
) -> None:
    client = service.user()
    session = client.post("/api/datasessions/", json={"name": "large"}).json()["id"]
    inputs = {"input_files": [{"source": "file", "basename": f"{tmp_path}/open/a.fits"}], "rows": ROWS}
    operations = f"/api/datasessions/{session}/operations/"
    made = client.post(operations, json={"name": "Sum", "input_data": inputs}).json()
    one = f"{operations}{made['id']}/"

    waited = client.get(f"{one}wait/", params={"timeout": 60}).json()["output"]
    once, nested = client.get(one), client.get(f"/api/datasessions/{session}/")
    listed = client.get("/api/datasessions/").json()["results"][0]["operations"][0]["output"]

    assert int(once.headers["content-length"]) > 100 * ROWS
    for output in (waited, once.json()["output"], nested.json()["operations"][0]["output"]):
        assert len(output["output_data"][0]["rows"]) == ROWS
    assert "output_data" not in listed
    data = httpx.get(listed["data_url"], headers={"Range": "bytes=0-9"})
    assert (data.status_code, data.content, data.headers["content-type"]) == (
        206, b'[{"total":', "application/json",
    )  # fmt: skip
    assert len(httpx.get(listed["data_url"]).json()[0]["rows"]) == ROWS
