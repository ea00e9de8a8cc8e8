"""What WebODM may answer, and what becomes of it."""

import pytest
from pydantic import SecretStr

from discovery.adapters.webodm import WebODM, open_webodm
from shared.errors import PermanentError, TransientError
from tests.discovery.adapters.webodm.acting import partial_task
from tests.support.webodm import Kind, User, WebODMServer


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_busy_webodm_is_tried_later(server: WebODMServer, webodm: WebODM, status: int) -> None:
    server.faults.plan(Kind.STATUS, path="projects", status=status, retry_after_s=7)
    with pytest.raises(TransientError, match=f"answered {status}") as told:
        await webodm.find_projects()
    assert told.value.retry_after is not None
    assert told.value.retry_after.total_seconds() == 7


async def test_a_webodm_that_is_away_is_tried_later(server: WebODMServer, webodm: WebODM) -> None:
    await webodm.find_projects()
    await server.stop()
    for _ in range(3):
        with pytest.raises(TransientError):
            await webodm.find_projects()
    await server.start()
    assert await webodm.find_projects() == []


async def test_a_webodm_that_says_nothing_is_tried_later(server: WebODMServer, hasty: WebODM) -> None:
    server.faults.plan(Kind.HANG, path="projects")
    with pytest.raises(TransientError, match="did not answer in time to: look for projects"):
        await hasty.find_projects()


async def test_a_page_of_somebody_else_is_no_answer(server: WebODMServer, webodm: WebODM) -> None:
    server.faults.plan(Kind.PAGE, path="projects")
    with pytest.raises(TransientError, match="no JSON"):
        await webodm.find_projects()


@pytest.mark.parametrize("text", ["[]", "3", '{"results": 3}', '{"results": [{"id": "x"}]}'])
async def test_an_answer_of_another_shape_is_told(server: WebODMServer, webodm: WebODM, text: str) -> None:
    server.faults.plan(Kind.PAGE, path="projects", text=text)
    with pytest.raises(
        PermanentError, match=r"no page of projects|cannot be understood \(created_at, id, name"
    ):
        await webodm.find_projects()


async def test_an_answer_without_end_is_not_taken(server: WebODMServer, webodm: WebODM) -> None:
    server.library.create(server.accounts.users["pilot"], "P", "x" * (17 << 20), "")
    with pytest.raises(PermanentError, match="more than 16777216 bytes"):
        await webodm.find_projects()


async def test_brackets_without_end_are_no_answer(server: WebODMServer, webodm: WebODM) -> None:
    server.faults.plan(Kind.PAGE, path="projects", text="[" * 1_000_000)
    with pytest.raises(TransientError, match="no JSON"):
        await webodm.find_projects()


async def test_a_redirect_is_not_followed_with_the_token(server: WebODMServer, webodm: WebODM) -> None:
    server.faults.plan(Kind.STATUS, path="projects", status=301, location="https://odm.example/?jwt=x")
    with pytest.raises(PermanentError, match=r"redirects to https://odm\.example/; use that address"):
        await webodm.find_projects()


async def test_what_may_not_be_done_is_told_without_another_login(server: WebODMServer) -> None:
    server.accounts.add(User("guest", "g", permissions=set()))
    async with open_webodm(server.url, "guest", SecretStr("g")) as webodm:
        with pytest.raises(PermanentError, match="refused to create the project 'N': You do not have perm"):
            await webodm.create_project("N")
    assert server.accounts.logins == 1


async def test_a_refusal_is_told_in_webodms_words(webodm: WebODM) -> None:
    task = await partial_task(webodm)
    with pytest.raises(PermanentError, match=r"refused to commit .*: You need to upload at least 1 file"):
        await webodm.commit_task(task.project, task.id)
    with pytest.raises(PermanentError, match="name: Null characters are not allowed"):
        await webodm.create_project("a\0b")
