"""What networks, proxies and full servers do at the worst moment: nothing lost, doubled or half-written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from shared.dav import AlreadyThereError, ChangedError, Dav, FullError, LockedError, RefusedError, open_dav
from shared.errors import NotFoundError, PermanentError, TransientError
from tests.shared.dav.contents import IMAGE, read, sha256, written
from tests.support.dav_proxy import (
    GARBAGE,
    HTML,
    Cut,
    DavProxy,
    Drop,
    Duplicate,
    Respond,
    Rewrite,
    Rule,
    dav_proxy,
    weak_etags,
    wrong_length,
)
from tests.support.dav_servers import RunningDav, running_dav

BROKEN = (PermanentError, TransientError)


@pytest.fixture(params=["nextcloud", "wsgidav"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningDav]:
    """Run one server that is written to directly, and one by way of temporary files."""
    with running_dav(request.param) as running:
        yield running


@pytest.fixture
def proxy(server: RunningDav) -> Iterator[DavProxy]:
    """Stand between."""
    with dav_proxy(server.address) as running:
        yield running


@asynccontextmanager
async def through(server: RunningDav, proxy: DavProxy) -> AsyncIterator[Dav]:
    """Open the server as seen through the proxy, tried out."""
    async with open_dav(server.at(proxy.url)) as dav:
        await dav.probe("")
        proxy.clear()
        yield dav


LOST_ANSWERS = {
    "dropped": Drop("answer"),
    "502": Respond(502, b"<html>", after_work=True),
    "504": Respond(504, after_work=True),
}


@pytest.mark.parametrize("fault", LOST_ANSWERS.values(), ids=LOST_ANSWERS.keys())
async def test_a_move_whose_answer_is_lost_has_happened(
    server: RunningDav, proxy: DavProxy, fault: Drop | Respond
) -> None:
    async with through(server, proxy) as dav:
        stored = await written(dav, "a.jpg")
        proxy.clear()
        proxy.add(Rule(fault, method="MOVE"))

        await dav.move("a.jpg", "b.jpg", etag=stored.etag)

    assert server.stored.names() == {"b.jpg"}


async def test_a_move_that_the_server_never_saw_has_not(server: RunningDav, proxy: DavProxy) -> None:
    async with through(server, proxy) as dav:
        stored = await written(dav, "a.jpg")
        proxy.clear()
        proxy.add(Rule(Drop("request"), method="MOVE"))

        with pytest.raises(TransientError):
            await dav.move("a.jpg", "b.jpg", etag=stored.etag)

    assert server.stored.names() == {"a.jpg"}


FAILED_UPLOADS = {
    "cut early": Cut("request", 1000),
    "cut late": Cut("request", 700_000),
    "dropped": Drop("request"),
    "answer dropped": Drop("answer"),
    "502 after the work": Respond(502, after_work=True),
    "503": Respond(503),
    "a page": HTML,
}


@pytest.mark.parametrize("fault", FAILED_UPLOADS.values(), ids=FAILED_UPLOADS.keys())
async def test_an_upload_that_fails_leaves_all_or_nothing_and_can_be_repeated(
    server: RunningDav, proxy: DavProxy, fault: Cut | Drop | Respond
) -> None:
    async with through(server, proxy) as dav:
        proxy.add(Rule(fault, method="PUT"))

        for _ in range(3):
            try:
                await written(dav, "a.jpg")
            except TransientError:
                assert server.stored.names() in (set(), {"a.jpg"})
            except AlreadyThereError:
                break
            else:
                break

        assert await dav.stored_sha256("a.jpg") == sha256(IMAGE)
    assert server.stored.names() == {"a.jpg"}
    assert server.stored.get("a.jpg") == IMAGE


async def test_a_naming_whose_answer_is_lost_has_happened() -> None:
    with running_dav("wsgidav") as server, dav_proxy(server.address) as proxy:
        async with through(server, proxy) as dav:
            proxy.add(Rule(Drop("answer"), method="MOVE"))
            await written(dav, "a.jpg")

        assert server.stored.names() == {"a.jpg"}


async def test_a_delete_whose_answer_is_lost_or_that_is_sent_twice_is_over(
    server: RunningDav, proxy: DavProxy
) -> None:
    async with through(server, proxy) as dav:
        for fault in (Drop("answer"), Duplicate()):
            stored = await written(dav, "a.jpg")
            proxy.clear()
            proxy.add(Rule(fault, method="DELETE"))
            with suppress(TransientError, NotFoundError):
                await dav.delete("a.jpg", etag=stored.etag)
            with pytest.raises(NotFoundError):
                await dav.delete("a.jpg", etag=stored.etag)

    assert server.stored.names() == set()


FAILED_DOWNLOADS = {
    "cut": Cut("answer", 1000),
    "told to be longer": wrong_length(7),
    "told to be shorter": wrong_length(-7),
    "a page": HTML,
    "garbage": GARBAGE,
}


@pytest.mark.parametrize("fault", FAILED_DOWNLOADS.values(), ids=FAILED_DOWNLOADS.keys())
async def test_half_a_file_is_never_read_for_a_whole_one(
    server: RunningDav, proxy: DavProxy, fault: Cut | Rewrite | Respond
) -> None:
    async with through(server, proxy) as dav:
        stored = await written(dav, "a.jpg")
        proxy.clear()
        proxy.add(Rule(fault, method="GET", path="a.jpg", nth=None))

        with pytest.raises(BROKEN):
            await read(dav, "a.jpg", stored.etag, stored.size_bytes)


async def test_what_was_damaged_on_its_way_is_not_named() -> None:
    with running_dav("wsgidav") as server, dav_proxy(server.address) as proxy:
        async with through(server, proxy) as dav:
            damaged = Rewrite(lambda answer: type(answer)(answer.head, b"\0" * len(answer.body)))
            proxy.add(Rule(damaged, method="GET"))

            with pytest.raises(TransientError, match="not what was sent"):
                await written(dav, "a.jpg")

        assert server.stored.names() == set()


async def test_what_is_not_what_was_sent_is_left_since_it_may_be_anothers(nextcloud: RunningDav) -> None:
    async with open_dav(nextcloud.place) as dav:
        await dav.probe("")

        with pytest.raises(AlreadyThereError, match="not what was sent"):
            await dav.write_new("a.jpg", IMAGE, sha256=sha256(b"other"))

    assert nextcloud.stored.names() == {"a.jpg"}


FAILED_LISTINGS = {
    "garbage": GARBAGE,
    "a page": HTML,
    "502": Respond(502, b"<html>"),
    "cut": Cut("answer", 100),
}


@pytest.mark.parametrize("fault", FAILED_LISTINGS.values(), ids=FAILED_LISTINGS.keys())
async def test_a_listing_that_is_none_is_never_an_empty_folder(
    server: RunningDav, proxy: DavProxy, fault: Respond | Cut
) -> None:
    async with through(server, proxy) as dav:
        await written(dav, "a.jpg")
        proxy.clear()
        proxy.add(Rule(fault, method="PROPFIND", nth=None))

        with pytest.raises(TransientError):
            await dav.folder("")


async def test_a_question_is_asked_again_over_another_connection(server: RunningDav, proxy: DavProxy) -> None:
    async with through(server, proxy) as dav:
        proxy.add(Rule(Drop("request"), method="PROPFIND"))

        assert (await dav.folder("")).files == ()


@pytest.mark.parametrize(
    ("status", "kind"), [(423, LockedError), (507, FullError), (429, TransientError), (401, RefusedError)]
)
async def test_what_the_server_cannot_do_now_leaves_everything_as_it_is(
    server: RunningDav, proxy: DavProxy, status: int, kind: type[Exception]
) -> None:
    async with through(server, proxy) as dav:
        stored = await written(dav, "a.jpg")
        proxy.clear()
        for method in ("PUT", "MOVE", "DELETE"):
            proxy.add(Rule(Respond(status), method=method, nth=None))

        for asked in (
            written(dav, "b.jpg"),
            dav.move("a.jpg", "b.jpg", etag=stored.etag),
            dav.delete("a.jpg", etag=stored.etag),
        ):
            with pytest.raises(kind):
                await asked

    assert server.stored.names() == {"a.jpg"}


async def test_a_proxy_that_weakens_etags_is_worked_with(server: RunningDav, proxy: DavProxy) -> None:
    async with through(server, proxy) as dav:
        proxy.add(Rule(Rewrite(weak_etags), nth=None))
        stored = await written(dav, "a.jpg")

        assert await read(dav, "a.jpg", stored.etag, stored.size_bytes) == IMAGE
        await dav.move("a.jpg", "b.jpg", etag=stored.etag)
        server.stored.put("b.jpg", b"replaced")
        with pytest.raises(ChangedError):
            await dav.delete("b.jpg", etag=stored.etag, size_bytes=stored.size_bytes)
        await dav.delete("b.jpg", etag=(await dav.look("b.jpg")).etag)

    assert server.stored.names() == set()


async def test_a_probe_that_fails_midway_leaves_nothing_and_knows_nothing(
    server: RunningDav, proxy: DavProxy
) -> None:
    async with open_dav(server.at(proxy.url)) as dav:
        proxy.add(Rule(Respond(503), method="MOVE", nth=2))

        with pytest.raises(TransientError):
            await dav.probe("")

        assert not dav.habits.was_tried
    assert server.stored.names() == set()
