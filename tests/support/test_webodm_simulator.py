"""The simulator keeps to WebODM's contract, so that what passes against it passes against WebODM."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.webodm import Fault, Kind, User, WebODMServer, webodm_server
from tests.support.webodm.processing import ASSETS

IMAGES = [("images", (f"DJI_{number}.JPG", b"jpeg" * number, "image/jpeg")) for number in (1, 2)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebODMServer]:
    async with webodm_server(tmp_path) as server:
        yield server


@pytest.fixture
async def http(server: WebODMServer) -> AsyncIterator[httpx.AsyncClient]:
    async with logged_in(server, "pilot", "pilot's") as http:
        yield http


def logged_in(server: WebODMServer, name: str, password: str) -> httpx.AsyncClient:
    token = server.accounts.log_in({"username": name, "password": password})
    return httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"JWT {token}"}, timeout=20)


def other_user(server: WebODMServer, **more: Any) -> httpx.AsyncClient:
    server.accounts.add(User("other", "other's", **more))
    return logged_in(server, "other", "other's")


async def new_project(http: httpx.AsyncClient, name: str = "North field", **more: Any) -> str:
    made = await http.post("/api/projects/", json={"name": name, **more})
    assert made.status_code == 201, made.text
    return f"/api/projects/{made.json()['id']}/"


async def new_task(http: httpx.AsyncClient, **fields: str) -> str:
    project = await new_project(http)
    made = await http.post(f"{project}tasks/", files={"partial": (None, "true")}, data=fields)
    assert made.status_code == 201, made.text
    return f"{project}tasks/{made.json()['id']}/"


def finished_assets() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(ASSETS["orthophoto.tif"], b"tiff")
    return content.getvalue()


async def test_a_token_is_given_for_the_password_and_for_nothing_else(server: WebODMServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        right = await http.post("/api/token-auth/", data={"username": "pilot", "password": "pilot's"})
        wrong = await http.post("/api/token-auth/", json={"username": "pilot", "password": "?"})
        missing = await http.post("/api/token-auth/", json={"username": "pilot"})

        assert right.status_code == 200
        assert wrong.json() == {"non_field_errors": ["Unable to log in with provided credentials."]}
        assert (missing.status_code, missing.json()) == (400, {"password": ["This field is required."]})


@pytest.mark.parametrize("status", [401, 403])
async def test_an_expired_token_is_refused_with_the_status_of_the_settings(
    server: WebODMServer, http: httpx.AsyncClient, status: int
) -> None:
    server.accounts.refusal_status = status
    assert (await http.get("/api/projects/")).status_code == 200
    server.accounts.expire_tokens()

    refused = await http.get("/api/projects/")

    assert (refused.status_code, refused.json()) == (status, {"detail": "Signature has expired."})


async def test_a_token_ends_after_its_time(server: WebODMServer) -> None:
    server.accounts.token_lives_s = -1
    async with logged_in(server, "pilot", "pilot's") as http:
        assert (await http.get("/api/projects/")).json() == {"detail": "Signature has expired."}


async def test_a_token_is_taken_from_the_query_and_a_password_from_basic_authentication(
    server: WebODMServer,
) -> None:
    token = server.accounts.log_in({"username": "pilot", "password": "pilot's"})
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/api/projects/", params={"jwt": token})).status_code == 200
        assert (await http.get("/api/projects/", auth=("pilot", "pilot's"))).status_code == 200
        assert (await http.get("/api/projects/", params={"jwt": f"{token}x"})).status_code == 403
        assert (await http.get("/api/projects/")).status_code == 403
    assert token not in str(server.calls)


async def test_a_project_is_created_as_often_as_it_is_asked_for(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    for _ in range(2):
        made = await http.post("/api/projects/", json={"name": "Same", "tags": ["tapis", "two words"]})
        assert made.status_code == 201
        assert made.json()["tags"] == ["tapis", "two", "words"]
        assert made.json()["permissions"] == ["add", "change", "delete", "view"]
    assert [project.name for project in server.projects] == ["Same", "Same"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "This field is required."),
        ({"name": " "}, "This field may not be blank."),
        ({"name": "n" * 256}, "Ensure this field has no more than 255 characters."),
    ],
)
async def test_a_name_that_cannot_be_is_refused(
    http: httpx.AsyncClient, body: dict[str, str], fault: str
) -> None:
    refused = await http.post("/api/projects/", json=body)
    assert (refused.status_code, refused.json()) == (400, {"name": [fault]})


async def test_projects_are_a_plain_list_unless_a_page_is_asked_for(http: httpx.AsyncClient) -> None:
    for number in range(12):
        await new_project(http, f"P{number:02}")

    everything = (await http.get("/api/projects/")).json()
    first = (await http.get("/api/projects/?page=1&ordering=name")).json()
    second = (await http.get(first["next"])).json()

    assert [project["name"] for project in everything][:2] == ["P11", "P10"]
    assert (first["count"], len(first["results"]), first["previous"]) == (12, 10, None)
    assert [project["name"] for project in second["results"]] == ["P10", "P11"]
    assert second["next"] is None
    assert (await http.get("/api/projects/?page=3")).json() == {"detail": "Invalid page."}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=Flight1", ["Flight1"]),
        ("search=%23fl00000000000000aa", ["Flight1"]),
        ("search=:tapis", ["Flight1", "Flight10"]),
        ("search=%23project", ["Flight10"]),
        ("search=%23flight", []),
        ("search=Flight10", ["Flight10"]),
        ("search=@pilot", ["Flight1", "Flight10"]),
        ("search=%23%23thermal", ["Flight10"]),
    ],
)
async def test_projects_are_found(http: httpx.AsyncClient, query: str, names: list[str]) -> None:
    await new_project(http, "Flight1", tags=["tapis", "fl00000000000000aa"])
    project = await new_project(http, "Flight10", tags=["Tapis", "ptdatax.project.X-1", "fl00000000000000ab"])
    tags = {"partial": (None, "true"), "tags": (None, '["thermal"]')}
    await http.post(f"{project}tasks/", files=tags)

    found = (await http.get(f"/api/projects/?ordering=name&{query}")).json()

    assert [project["name"] for project in found] == names


async def test_editing_blanks_what_is_not_given_and_patching_does_not(http: httpx.AsyncClient) -> None:
    project = await new_project(http, "Old", description="kept?", tags=["a"])

    await http.patch(project, json={"name": "New"})
    assert (await http.get(project)).json()["description"] == "kept?"
    await http.post(f"{project}edit/", json={"tags": ["b"]})

    edited = (await http.get(project)).json()
    assert (edited["name"], edited["description"], edited["tags"]) == ("", "", ["b"])


async def test_what_others_own_is_not_there(server: WebODMServer, http: httpx.AsyncClient) -> None:
    project = await new_project(http)
    async with other_user(server) as other:
        assert (await other.get("/api/projects/")).json() == []
        for path in (project, f"{project}tasks/"):
            assert (await other.get(path)).status_code == 404
        assert (await other.delete(project)).status_code == 404


async def test_who_sees_a_shared_project_cannot_delete_it(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    project = await new_project(http)
    async with other_user(server) as other:
        shared = {"name": "N", "permissions": [{"username": "other", "permissions": ["view"]}]}
        assert (await http.post(f"{project}edit/", json=shared)).json() == {"success": True}
        assert (await other.get(project)).json()["permissions"] == ["view"]
        assert (await other.get(project)).json()["owned"] is False
        assert (await other.post(f"{project}tasks/", files={"partial": (None, "1")})).status_code == 404
        assert (await other.delete(project)).status_code == 204
        assert (await other.get(project)).status_code == 404
    assert (await http.get(project)).status_code == 200
    assert [one["username"] for one in (await http.get(f"{project}permissions/")).json()] == ["pilot"]


async def test_who_may_not_add_projects_at_all_is_told_so(server: WebODMServer) -> None:
    async with other_user(server, permissions=set()) as other:
        refused = await other.post("/api/projects/", json={"name": "N"})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "You do not have permission to perform this action.",
    )


async def test_a_task_of_images_is_processed(server: WebODMServer, http: httpx.AsyncClient) -> None:
    project = await new_project(http)
    data = {"name": "T", "options": '[{"name": "dsm", "value": true}]'}
    made = await http.post(f"{project}tasks/", data=data, files=IMAGES)
    task = f"{project}tasks/{made.json()['id']}/"

    await server.settled(server.only_task())

    done = (await http.get(task)).json()
    assert (made.status_code, done["status"], done["images_count"], done["name"]) == (201, 40, 2, "T")
    assert done["available_assets"] == ["all.zip", "orthophoto.tif"]
    assert (await http.get(f"{task}download/orthophoto.tif")).content == b'["DJI_1.JPG", "DJI_2.JPG"]'
    assert (await http.get(f"{task}download/dsm.tif")).json() == {"detail": "Asset does not exist"}
    assert "at 30%" in (await http.get(f"{task}output/", params={"line": 1})).json()


async def test_one_image_is_not_enough_and_false_values_are_no_options(http: httpx.AsyncClient) -> None:
    project = await new_project(http)
    alone = await http.post(f"{project}tasks/", files=IMAGES[:1])
    false = await http.post(
        f"{project}tasks/", files=IMAGES, data={"options": '[{"name": "a", "value": false}]'}
    )
    assert alone.json() == ["Cannot create task, you need at least 2 images"]
    assert (false.status_code, false.json()) == (400, {"options": ["Invalid options"]})


async def test_a_partial_task_waits_for_its_commit(server: WebODMServer, http: httpx.AsyncClient) -> None:
    task = await new_task(http, name="T")
    early = await http.post(f"{task}commit/")
    uploaded = await http.post(f"{task}upload/", files=IMAGES)
    waiting = (await http.get(task)).json()
    committed = await http.post(f"{task}commit/")
    await server.settled(server.only_task())

    assert early.json() == ["You need to upload at least 1 file before commit"]
    assert uploaded.json() == {"success": True, "uploaded": {"DJI_1.JPG": 4, "DJI_2.JPG": 8}}
    assert (waiting["partial"], waiting["status"]) == (True, None)
    assert (committed.json()["partial"], committed.json()["images_count"]) == (False, 2)
    assert (await http.post(f"{task}commit/")).status_code == 200


async def test_a_file_of_the_same_name_replaces_the_first(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    task = await new_task(http)
    for content in (b"half", b"the whole"):
        await http.post(f"{task}upload/", files={"images": ("sub/A.JPG", content)})
    assert server.only_task().images() == {"A.JPG": b"the whole"}


async def test_a_body_without_a_length_is_empty(http: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="images"; filename="A.JPG"\r\n\r\nx\r\n--b--\r\n'

    task = await new_task(http)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused = await http.post(f"{task}upload/", content=body(), headers=headers)
    assert refused.json() == ["No files uploaded"]


async def test_a_chunk_that_comes_twice_is_in_the_file_twice(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    task = await new_task(http)
    for index, content in ((0, b"lost"), (0, b"one "), (1, b"two "), (1, b"two "), (2, b"three")):
        chunk = {"dzuuid": "u-1", "dzchunkindex": str(index), "dztotalchunkcount": "3"}
        answer = await http.post(f"{task}upload/", data=chunk, files={"images": ("A.JPG", content)})
    assert answer.json()["uploaded"] == {"A.JPG": 17}
    assert server.only_task().images() == {"A.JPG": b"one two two three"}


async def test_finished_assets_are_imported_from_a_file(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    project = await new_project(http)
    made = await http.post(f"{project}tasks/import", files={"file": ("all.zip", finished_assets())})
    task = await server.settled(server.only_task())

    assert (made.json()["status"], made.json()["pending_action"]) == (20, 5)
    assert (task.status, task.available_assets) == (40, ["all.zip", "orthophoto.tif"])


async def test_an_import_needs_one_source_that_can_be_fetched(http: httpx.AsyncClient) -> None:
    project = await new_project(http)
    none = await http.post(f"{project}tasks/import", json={})
    tapis = await http.post(f"{project}tasks/import", json={"url": "tapis://system/path"})
    assert none.json() == ["Cannot create task, you need to upload 1 file"]
    assert (tapis.status_code, tapis.json()) == (
        400,
        ["Invalid URL. Did you mean http://tapis://system/path ?"],
    )


async def test_a_task_is_cancelled_restarted_and_removed(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    task = await new_task(http)
    await http.post(f"{task}upload/", files=IMAGES)
    assert (await http.post(f"{task}cancel/")).json() == {"success": True}
    assert (await server.settled(server.only_task())).status == 50
    await http.post(f"{task}restart/")
    assert (await server.settled(server.only_task())).status == 40
    await http.post(f"{task}remove/")
    while (await http.get(task)).status_code != 404:
        await asyncio.sleep(0.01)
    assert server.projects[0].tasks == {}


async def test_faults_befall_the_requests_that_they_were_planned_for(
    server: WebODMServer, http: httpx.AsyncClient
) -> None:
    server.faults.planned = [
        Fault(Kind.STATUS, "POST", "projects/$", status=429, retry_after_s=7),
        Fault(Kind.CUT_AFTER, "POST", "projects/$"),
        Fault(Kind.CUT_BEFORE, "POST", "projects/$"),
        Fault(Kind.PAGE, "POST", "projects/$"),
    ]
    busy = await http.post("/api/projects/", json={"name": "A"})
    for name in ("B", "C"):
        with pytest.raises(httpx.TransportError):
            await http.post("/api/projects/", json={"name": name})
    page = await http.post("/api/projects/", json={"name": "D"})

    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "7")
    assert page.text.startswith("<html>")
    assert [project.name for project in server.projects] == ["B"]
    assert server.counts() == {("POST", 429): 1, ("POST", None): 2, ("POST", 200): 1}


async def test_what_was_there_is_there_after_a_stop(server: WebODMServer, http: httpx.AsyncClient) -> None:
    project = await new_project(http)
    await server.stop()
    with pytest.raises(httpx.ConnectError):
        await http.get(project)
    await server.start()
    assert (await http.get(project)).status_code == 200
