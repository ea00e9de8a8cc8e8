"""The user's document, followed line by line with ``requests``, on a service of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from flightline.archive_simulator import ArchiveSimulator
from flightline.archive_simulator.banzai import write_banzai
from flightline.archive_simulator.star_fields import star_field
from tests.datalab.contract.conftest import archive_in_a_thread
from tests.support.columns import Column
from tests.support.processes import free_port, until_healthy

HEADERS = {"Authorization": "Token 123456789abcdefg"}
WITHIN_S = 60.0


SESSION_INPUT_DATA = [
    {"type": "fitsfile", "source": "archive", "basename": "mrc1-sq005mm-20231114-00010332"},
    {"type": "fitsfile", "source": "archive", "basename": "mrc1-sq005mm-20231114-00010333"},
]
OPERATION_INPUT_DATA: dict[str, Any] = {
    "input_files": [
        {"type": "fitsfile", "source": "archive", "basename": "mrc1-sq005mm-20231114-00010332"},
    ],
    "threshold": 255.0,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveSimulator]:
    """Serve the frames that the document names."""
    archive, folder = ArchiveSimulator(), tmp_path_factory.mktemp("frames")
    for number, item in enumerate(SESSION_INPUT_DATA):
        field = star_field(size=64, stars=5, exposure=number)
        archive.add(item["basename"], write_banzai(folder / f"{number}.fits", field, compress=None))
    with archive_in_a_thread(archive):
        yield archive


@pytest.fixture(scope="module")
def datalab(archive: ArchiveSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Populate test data, then run the service; gives its URL."""
    home = tmp_path_factory.mktemp("document") / "home"
    home.mkdir()
    port = free_port()
    own = {
        "DATALAB_PORT": str(port),
        "DATALAB_ARCHIVE_URL": archive.url,
        "FLIGHTLINE_LOG_LEVEL": "error",
    }
    column = Column(home, command="datalab", own=own)
    with column.running("populate-test-data") as populating:
        said, trouble = populating.communicate(timeout=WITHIN_S)
        assert populating.returncode == 0, trouble
        assert "123456789abcdefg" in said
    with column.running():
        url = f"http://127.0.0.1:{port}"
        until_healthy(url)
        yield url


def test_the_document_works_as_written(datalab: str) -> None:
    """Row: the user's document."""
    there = requests.get(f"{datalab}/api/datasessions/", headers=HEADERS, timeout=WITHIN_S).json()
    assert [one["name"] for one in there["results"]] == ["MyDataSession1", "Empty Data Session"]
    assert {one["user"] for one in there["results"]} == {"test_user"}

    post_data: dict[str, Any] = {"name": "My New Session Name", "input_data": SESSION_INPUT_DATA}
    made = requests.post(f"{datalab}/api/datasessions/", headers=HEADERS, json=post_data, timeout=WITHIN_S)
    assert made.status_code == 201
    datasession_id = made.json()["id"]

    listed = requests.get(f"{datalab}/api/datasessions/", headers=HEADERS, timeout=WITHIN_S).json()
    assert listed["results"][0]["id"] == datasession_id
    one = f"{datalab}/api/datasessions/{datasession_id}/"
    assert requests.get(one, headers=HEADERS, timeout=WITHIN_S).json()["input_data"] == SESSION_INPUT_DATA

    assert requests.get(f"{one}operations/", headers=HEADERS, timeout=WITHIN_S).json()["results"] == []
    post_data = {"name": "Median", "input_data": OPERATION_INPUT_DATA}
    asked = requests.post(f"{one}operations/", headers=HEADERS, json=post_data, timeout=WITHIN_S)
    assert asked.status_code == 201
    assert asked.json()["input_data"] == post_data["input_data"]
    operation_id = asked.json()["id"]

    wait = f"{one}operations/{operation_id}/wait/?timeout=60"
    ended = requests.get(wait, headers=HEADERS, timeout=2 * WITHIN_S).json()
    assert (ended["status"], ended["operation_progress"]) == ("COMPLETED", 1.0), ended["message"]

    gone = requests.delete(f"{one}operations/{operation_id}/", headers=HEADERS, timeout=WITHIN_S)
    assert gone.status_code == 204
    assert requests.get(f"{one}operations/", headers=HEADERS, timeout=WITHIN_S).json()["count"] == 0
    assert requests.delete(one, headers=HEADERS, timeout=WITHIN_S).status_code == 204
    assert requests.get(one, headers=HEADERS, timeout=WITHIN_S).status_code == 404


def test_the_operations_of_the_test_data_come_to_an_end(datalab: str) -> None:
    (filled,) = [
        one
        for one in requests.get(f"{datalab}/api/datasessions/", headers=HEADERS, timeout=WITHIN_S).json()[
            "results"
        ]
        if one["name"] == "MyDataSession1"
    ]
    for operation in filled["operations"]:
        path = f"{datalab}/api/datasessions/{filled['id']}/operations/{operation['id']}/wait/?timeout=60"
        ended = requests.get(path, headers=HEADERS, timeout=2 * WITHIN_S).json()
        assert ended["status"] == "COMPLETED", ended["message"]
        for output in ended["output"]["output_files"]:
            picture = requests.get(output["large_url"], timeout=WITHIN_S)
            assert picture.content.startswith(b"\xff\xd8")
            fits = requests.get(output["fits_url"], timeout=WITHIN_S)
            assert fits.content.startswith(b"SIMPLE  =")


def test_somebody_logs_in_with_the_documents_password(datalab: str) -> None:
    form = {"username": "test_user", "password": "test_pass"}
    answer = requests.post(f"{datalab}/api/api-token-auth/", data=form, timeout=WITHIN_S)

    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    profile = requests.get(f"{datalab}/api/profile/", headers=headers, timeout=WITHIN_S).json()
    assert profile["username"] == "test_user"
