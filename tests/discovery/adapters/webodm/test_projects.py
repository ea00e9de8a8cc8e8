"""Projects at WebODM, each exactly once, and the login that they need."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr

from discovery.adapters.webodm import WebODM, open_webodm
from discovery.adapters.webodm_records import Project
from discovery.adapters.webodm_session import Timeouts
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from tests.discovery.adapters.webodm.acting import (
    KEY,
    OTHER_KEY,
    PASSWORD,
    ensured,
)
from tests.support.webodm import Fault, Kind, User, WebODMServer


async def test_one_login_serves_everyone(server: WebODMServer, webodm: WebODM) -> None:
    await asyncio.gather(*(webodm.find_projects() for _ in range(20)))
    assert server.accounts.logins == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_tokens_that_end_are_replaced_by_one_login(
    server: WebODMServer, webodm: WebODM, status: int
) -> None:
    server.accounts.refusal_status = status
    await webodm.find_projects()
    server.accounts.expire_tokens()

    await asyncio.gather(*(webodm.find_projects() for _ in range(20)))

    assert server.accounts.logins == 2


async def test_a_token_that_ends_between_login_and_request_is_replaced(
    server: WebODMServer, webodm: WebODM
) -> None:
    server.faults.plan(Kind.EXPIRED, path="projects")
    assert await webodm.find_projects() == []
    assert server.accounts.logins == 2


async def test_a_login_is_renewed_before_its_token_ends(server: WebODMServer) -> None:
    timeouts = Timeouts(login_for_s=0)
    async with open_webodm(server.url, "pilot", SecretStr(PASSWORD), timeouts=timeouts) as webodm:
        await webodm.find_projects()
        await webodm.find_projects()
    assert server.accounts.logins == 2
    assert server.counts()["GET", 403] == 0


async def test_a_wrong_password_is_told_without_it(server: WebODMServer) -> None:
    async with open_webodm(server.url, "pilot", SecretStr("gue55ed")) as webodm:
        with pytest.raises(PermanentError, match="refuses the login: check user name and password") as told:
            await webodm.find_projects()
    assert "gue55ed" not in str(told.value)


async def test_those_who_wait_for_a_login_that_fails_do_not_try_one_by_one(
    server: WebODMServer, webodm: WebODM
) -> None:
    server.faults.plan(Kind.STATUS, path="token-auth", times=100)

    outcomes = await asyncio.gather(*(webodm.find_projects() for _ in range(20)), return_exceptions=True)

    assert all(isinstance(outcome, TransientError) for outcome in outcomes)
    assert server.count("POST", "token-auth/") == 1


async def test_neither_password_nor_token_is_shown(server: WebODMServer, webodm: WebODM) -> None:
    await webodm.find_projects()
    token = webodm.session._token
    assert token
    for shown in (repr(webodm), str(server.calls)):
        assert PASSWORD not in shown
        assert token not in shown


@pytest.mark.parametrize("url", ["", "ftp://a", "http://pilot:x@127.0.0.1/"])
async def test_an_address_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidInputError):
        async with open_webodm(url, "pilot", SecretStr(PASSWORD)):
            pass


async def test_a_project_is_created_edited_and_deleted(server: WebODMServer, webodm: WebODM) -> None:
    project = await webodm.create_project("North", description="D", tags=["tapis", "north-field"])
    await webodm.edit_project(project.id, name="South", description="E", tags=["x"])
    edited = await webodm.project(project.id)
    await webodm.delete_project(project.id)
    await webodm.delete_project(project.id)

    assert (project.name, project.tags, project.may_change) == ("North", ("tapis", "north-field"), True)
    assert (edited.name, edited.description, edited.tags) == ("South", "E", ("x",))
    assert server.projects == []


async def test_projects_are_found_on_every_page(webodm: WebODM) -> None:
    made = [await webodm.create_project(f"P{number}", tags=[KEY]) for number in range(23)]
    await webodm.create_project("P0", tags=["other"])

    assert await webodm.find_projects(tag=KEY) == made
    assert await webodm.find_projects(tag=KEY, name="P7") == [made[7]]
    assert len(await webodm.find_projects()) == 24
    assert len(await webodm.find_projects(at_most=5)) == 5


async def test_a_tag_is_not_found_in_parts_of_others(webodm: WebODM) -> None:
    await webodm.create_project("Flight10", tags=["Flight1", "ptdatax.project.X"])
    assert await webodm.find_projects(tag="flight1") == []
    assert await webodm.find_projects(tag="project") == []


async def test_a_project_that_somebody_deleted_is_not_found(server: WebODMServer, webodm: WebODM) -> None:
    project, _ = await ensured(webodm)
    server.deleted_by_its_owner(server.projects[0])
    with pytest.raises(NotFoundError, match="nothing of that kind"):
        await webodm.project(project.id)


@pytest.mark.parametrize(
    ("name", "tags"), [("", []), ("n" * 256, []), ("N", ["two words"]), ("N", [""]), ("N", ["a\nb"])]
)
async def test_what_webodm_would_not_keep_is_refused(webodm: WebODM, name: str, tags: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        await webodm.create_project(name, tags=tags)


async def test_who_calls_again_gets_the_same_project(server: WebODMServer, webodm: WebODM) -> None:
    first, is_first_new = await ensured(webodm)
    again, is_again_new = await ensured(webodm)

    assert (is_first_new, is_again_new) == (True, False)
    assert again.id == first.id
    assert first.tags == ("tapis", "flight", KEY)
    assert len(server.projects) == 1


async def test_a_project_that_was_there_is_adopted_as_it_is(server: WebODMServer, webodm: WebODM) -> None:
    theirs = await webodm.create_project("Renamed by hand", tags=[KEY, "mine"])
    await webodm.create_project("North (sys.a)", tags=[OTHER_KEY])
    project, is_new = await ensured(webodm)
    assert (project, is_new) == (theirs, False)
    assert len(server.projects) == 2


async def test_a_create_whose_answer_was_lost_is_adopted(server: WebODMServer, webodm: WebODM) -> None:
    server.faults.plan(Kind.CUT_AFTER, "POST", path="projects/$")
    with pytest.raises(TransientError, match=r"connection to WebODM .* broke"):
        await ensured(webodm)

    _, is_new = await ensured(webodm)

    assert not is_new
    assert len(server.projects) == 1


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.PAGE, Kind.CUT_BEFORE, Kind.CUT_AFTER, Kind.EXPIRED])
@pytest.mark.parametrize("path", ["token-auth", "projects"])
@pytest.mark.parametrize("after", range(4))
async def test_whatever_goes_wrong_there_is_one_project_in_the_end(
    server: WebODMServer, webodm: WebODM, kind: Kind, path: str, after: int
) -> None:
    passing = [Fault(Kind.SLOW, path=path) for _ in range(after)]
    server.faults.planned = [*passing, Fault(kind, path=path, times=2)]

    project = await until_done(lambda: ensured(webodm))

    assert [found.id for found in server.projects] == [project[0].id]


async def until_done(act: Callable[[], Awaitable[tuple[Project, bool]]]) -> tuple[Project, bool]:
    for _ in range(10):
        try:
            return await act()
        except TransientError:
            continue
    raise AssertionError


async def created(server: WebODMServer, count: int) -> None:
    async with asyncio.timeout(30):
        while len(server.projects) < count:
            await asyncio.sleep(0.02)


async def asked_to_create(fault: Fault) -> None:
    async with asyncio.timeout(30):
        while fault.times:
            await asyncio.sleep(0.02)


async def test_a_create_that_happens_late_leaves_no_double(server: WebODMServer, hasty: WebODM) -> None:
    late = asyncio.Event()
    server.faults.plan(Kind.SLOW, "POST", path="projects/$", until=late)
    with pytest.raises(TransientError, match="did not answer in time"):
        await ensured(hasty)
    await ensured(hasty)
    late.set()
    await created(server, 2)

    project, is_new = await ensured(hasty)

    assert not is_new
    assert [found.id for found in server.projects] == [project.id]


async def test_a_create_that_happens_just_before_the_next_is_the_one(
    server: WebODMServer, webodm: WebODM, hasty: WebODM
) -> None:
    late, next_one = asyncio.Event(), asyncio.Event()
    server.faults.plan(Kind.SLOW, "POST", path="projects/$", until=late)
    second = server.faults.plan(Kind.SLOW, "POST", path="projects/$", until=next_one)
    with pytest.raises(TransientError):
        await ensured(hasty)
    asking = asyncio.create_task(ensured(webodm))
    await asked_to_create(second)
    late.set()
    await created(server, 1)
    next_one.set()

    project, is_new = await asking

    assert (project.id, is_new) == (1, False)
    assert [found.id for found in server.projects] == [1]


async def test_doubles_that_hold_something_or_have_other_names_are_kept(
    server: WebODMServer, webodm: WebODM
) -> None:
    first = await webodm.create_project("North", tags=[KEY])
    filled = await webodm.create_project("North", tags=[KEY])
    await webodm.start_partial_task(filled.id, name="T")
    await webodm.create_project("Copy of North", tags=[KEY])
    await webodm.create_project("North", tags=[KEY])

    project, _ = await ensured(webodm)

    assert project.id == first.id
    assert [found.id for found in server.projects] == [1, 2, 3]


async def test_a_project_that_may_only_be_looked_at_is_not_adopted(
    server: WebODMServer, webodm: WebODM
) -> None:
    theirs = server.library.create(server.accounts.add(User("other", "x")), "North", "", KEY)
    theirs.shared_with["pilot"] = {"view"}

    project, is_new = await ensured(webodm)

    assert is_new
    assert project.id != theirs.id
    assert len(server.projects) == 2


@pytest.mark.parametrize("tag", ["fl012", "FL0123456789ABCDEF", "fl0123456789abcdef0", "flight-1"])
async def test_a_key_tag_that_may_be_taken_apart_is_refused(webodm: WebODM, tag: str) -> None:
    with pytest.raises(InvalidInputError, match="fl and 16 hexadecimal digits"):
        await webodm.ensure_project(tag, name="N")
