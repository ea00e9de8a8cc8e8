"""What a server says is believed only where it is an answer to what was asked."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shared.dav import ChangedError, DavPlace, FullError, LockedError, RefusedError, Tag, open_dav
from shared.dav.multistatus import Multistatus
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from tests.shared.dav.canned import FOLDER, IMAGE, Canned, canned, multi, response
from tests.shared.dav.contents import read, written
from tests.support.processes import free_port

TAG = (
    '<nc:system-tags><nc:system-tag oc:id="7" oc:can-assign="true"> ai:cats </nc:system-tag>'
    '<nc:system-tag oc:id="8" oc:can-assign="false">ai:dogs</nc:system-tag></nc:system-tags>'
)
NOT_AN_ANSWER = {
    "empty": b"",
    "a login page": b"<html><body>Please log in</body></html>",
    "half of one": multi(response("/dav/", FOLDER))[:-9],
    "another document": b"<other/>",
    "nothing in it": multi(),
    "nothing about the folder": multi(response("/dav/a.jpg", IMAGE)),
    "another folder": multi(response("/other/", FOLDER)),
    "a stranger in it": multi(response("/dav/", FOLDER), response("/other/a.jpg", IMAGE)),
    "a deeper one in it": multi(response("/dav/", FOLDER), response("/dav/a/b.jpg", IMAGE)),
    "the folder above": multi(response("/dav/", FOLDER), response("/", FOLDER)),
    "a way out": multi(response("/dav/", FOLDER), response("/dav/%2e%2e", FOLDER)),
    "no address": multi(response("", FOLDER)),
    "a document type": b'<!DOCTYPE x [<!ENTITY a "b">]>' + multi(response("/dav/", FOLDER)),
    "a document type in UTF-16": (
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x>' + multi(response("/dav/", FOLDER)).decode()[21:]
    ).encode("utf-16"),
    "no text": multi(response("/dav/", FOLDER)).replace(b"collection", b"\xff"),
    "something behind it": multi(response("/dav/", FOLDER)) + b"<html/>",
}


@pytest.mark.parametrize("body", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER.keys())
async def test_a_proxy_s_page_or_half_an_answer_is_never_an_empty_folder(body: bytes) -> None:
    async with canned(Canned(body)) as dav:
        with pytest.raises(TransientError):
            await dav.folder("")


async def test_an_answer_that_is_cut_off_is_worth_another_try() -> None:
    body = multi(response("/dav/", FOLDER))
    async with canned(Canned(body, length=len(body) + 10)) as dav:
        with pytest.raises(TransientError):
            await dav.folder("")


async def test_an_empty_folder_is_one_that_is_told_to_be() -> None:
    async with canned(Canned(multi(response("/dav/", FOLDER)))) as dav:
        folder = await dav.folder("")

    assert (folder.files, folder.folders, folder.leftovers, folder.itself.path) == ((), (), (), "")


STATUSES: dict[str, type[Exception]] = {
    "200 OK": TransientError,
    "204 No Content": TransientError,
    "401 Unauthorized": RefusedError,
    "403 Forbidden": RefusedError,
    "404 Not Found": NotFoundError,
    "405 Method Not Allowed": InvalidInputError,
    "412 Precondition Failed": ChangedError,
    "423 Locked": LockedError,
    "429 Too Many Requests": TransientError,
    "500 Internal Server Error": TransientError,
    "501 Not Implemented": InvalidInputError,
    "520 Unknown": TransientError,
    "503 Service Unavailable": TransientError,
    "507 Insufficient Storage": FullError,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
async def test_each_status_is_an_error_of_its_kind(status: str, kind: type[Exception]) -> None:
    async with canned(Canned(multi(response("/dav/", FOLDER)), status)) as dav:
        with pytest.raises(kind):
            await dav.folder("")


@pytest.mark.parametrize("asked", ["write", "move", "untag", "delete", "make a folder"])
async def test_a_proxy_s_page_with_status_200_is_not_taken_for_work_done(asked: str) -> None:
    page = Canned(b"<html>Please log in", "200 OK", "Content-Type: text/html; charset=utf-8\r\n")
    async with canned(page, "/remote.php/dav/files/anna/") as dav:
        work: dict[str, Callable[[], Awaitable[object]]] = {
            "write": lambda: written(dav, "a.jpg"),
            "move": lambda: dav.move("a.jpg", "b.jpg", etag='"e"'),
            "untag": lambda: dav.untag(1, 2),
            "delete": lambda: dav.delete("a.jpg", etag='"e"'),
            "make a folder": lambda: dav.make_folders("cats"),
        }
        with pytest.raises(TransientError):
            await work[asked]()


async def test_what_the_server_says_is_passed_on_in_short() -> None:
    said = b'<?xml version="1.0"?><d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>X'
    said += b"</s:exception><s:message>Name is\n  too long" + b"!" * 999 + b"</s:message></d:error>"
    async with canned(Canned(said, "400 Bad Request", "Content-Type: application/xml\r\n")) as dav:
        with pytest.raises(InvalidInputError, match="Name is too long!") as raised:
            await dav.look("a.jpg")

    assert len(str(raised.value)) < 500


async def test_after_a_refused_login_its_session_is_forgotten() -> None:
    answer = Canned(status="401 Unauthorized", headers="Set-Cookie: session=abc; path=/\r\n")
    async with canned(answer) as dav:
        for _ in range(2):
            with pytest.raises(RefusedError):
                await dav.look("a.jpg")

    assert not any("session=abc" in head for head in answer.heads)


async def test_a_refused_login_says_what_may_be_wrong_and_never_the_password() -> None:
    async with canned(Canned(status="401 Unauthorized"), password="hidden") as dav:
        with pytest.raises(RefusedError, match="app password revoked") as raised:
            await dav.folder("")

    assert raised.value.is_login
    assert "hidden" not in f"{raised.value}{dav.place!r}"


async def test_a_redirect_is_not_followed_and_says_what_to_set() -> None:
    there = "https://anna:hidden@cloud.example.org/dav/?token=hidden"
    async with canned(Canned(status="301 Moved Permanently", headers=f"Location: {there}\r\n")) as dav:
        with pytest.raises(
            InvalidInputError, match=r"redirects to https://cloud\.example\.org/dav/;"
        ) as raised:
            await dav.folder("")

    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [
        ("120", timedelta(seconds=120), timedelta(seconds=120)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1), timedelta(days=1)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0), timedelta(0)),
        ("9" * 30, timedelta(days=1), timedelta(days=1)),
    ],
)
async def test_a_server_is_not_asked_again_before_it_wants_to_be(
    header: str, at_least: timedelta, at_most: timedelta
) -> None:
    async with canned(Canned(status="503 Service Unavailable", headers=f"Retry-After: {header}\r\n")) as dav:
        with pytest.raises(TransientError) as raised:
            await dav.folder("")

    assert raised.value.retry_after is not None
    assert at_least <= raised.value.retry_after <= at_most


@pytest.mark.parametrize("header", ["", "soon", "-5", "1e3"])
async def test_what_is_no_time_is_passed_over(header: str) -> None:
    async with canned(Canned(status="503 Service Unavailable", headers=f"Retry-After: {header}\r\n")) as dav:
        with pytest.raises(TransientError) as raised:
            await dav.folder("")

    assert raised.value.retry_after is None


async def test_addresses_may_be_whole_urls_with_any_escapes_and_are_decoded_once() -> None:
    body = multi(
        response("http://cloud.example:80/dav", FOLDER),
        response("http://cloud.example:80/dav/50%2525%23%c3%BC.jpg", IMAGE),
        response("/dav/a%3fb.jpg", IMAGE),
        response("/d%61v/%E7%84%a1.jpg", IMAGE),
    )
    async with canned(Canned(body)) as dav:
        files = (await dav.folder("")).files

    assert [file.path for file in files] == ["50%25#ü.jpg", "a?b.jpg", "無.jpg"]


@pytest.mark.parametrize("known_as", ["/data/", "/", "/internal/cloud/data/"])
async def test_a_proxy_may_know_the_folder_by_a_longer_or_shorter_name(known_as: str) -> None:
    body = multi(response(f"{known_as}raw/", FOLDER), response(f"{known_as}raw/a.jpg", IMAGE))
    async with canned(Canned(body), "/cloud/data/") as dav:
        folder = await dav.folder("raw")

    assert [file.path for file in folder.files] == ["raw/a.jpg"]


@pytest.mark.parametrize("known_as", ["/other/", "/cloud/", "/cloud/data/raw/raw/", "/ata/"])
async def test_another_folder_is_not_taken_for_one_behind_a_proxy(known_as: str) -> None:
    body = multi(response(f"{known_as}", FOLDER), response(f"{known_as}a.jpg", IMAGE))
    async with canned(Canned(body), "/cloud/data/") as dav:
        with pytest.raises(TransientError):
            await dav.folder("raw")


async def test_etags_compare_equal_however_they_are_written() -> None:
    forms = ("&quot;e&quot;", "W/&quot;e&quot;", "e")
    told = []
    for form in forms:
        body = multi(response("/dav/a.jpg", IMAGE.replace("&quot;e&quot;", form)))
        async with canned(Canned(body)) as dav:
            told.append(await dav.look("a.jpg"))

    assert [resource.etag for resource in told] == ['"e"'] * 3
    assert [resource.has_weak_etag for resource in told] == [False, True, False]
    assert told[0] == told[1]


async def test_where_no_etag_is_told_size_and_time_stand_in_for_it() -> None:
    none = IMAGE.replace("<d:getetag>&quot;e&quot;</d:getetag>", "")
    body = multi(
        response("/dav/", FOLDER),
        response("/dav/a.jpg", none),
        response("/dav/b.jpg", none.replace("3<", "4<")),
        response("/dav/c.jpg", "<d:resourcetype/>"),
    )
    async with canned(Canned(body)) as dav:
        one, other, unknown = (await dav.folder("")).files

    assert one.etag.startswith("modified:")
    assert one.etag != other.etag
    assert (unknown.etag, unknown.size_bytes) == ("", None)


async def test_a_file_that_cannot_be_known_again_is_not_deleted() -> None:
    async with canned(Canned()) as dav:
        with pytest.raises(InvalidInputError):
            await dav.delete("a.jpg", etag="")


async def test_tags_are_told_with_the_files_names_as_they_are() -> None:
    body = multi(response("/dav/a.jpg", IMAGE + TAG))
    async with canned(Canned(body)) as dav:
        file = await dav.look("a.jpg", tags=True)

    assert file.tags == (Tag(7, " ai:cats ", can_assign=True), Tag(8, "ai:dogs", can_assign=False))


async def test_what_is_refused_of_a_file_is_not_taken_for_nothing() -> None:
    refused = response("/dav/a.jpg", IMAGE + TAG, "HTTP/1.1 403 Forbidden")
    async with canned(Canned(multi(refused))) as dav:
        file = await dav.look("a.jpg", tags=True)

    assert (file.size_bytes, file.etag, file.tags) == (None, "", ())


async def test_names_that_no_path_may_have_spoil_nothing_and_are_told() -> None:
    body = multi(
        response("/dav/", FOLDER),
        response("/dav/a%0ab.jpg", IMAGE),
        response("/dav/%ff.jpg", IMAGE),
        response("/dav/back%5cslash.jpg", IMAGE),
        response("/dav/c.jpg", IMAGE),
    )
    async with canned(Canned(body)) as dav:
        folder = await dav.folder("")

    assert [file.name for file in folder.files] == ["c.jpg"]
    assert folder.unusable == ("a\\nb.jpg", "back\\\\slash.jpg", "\\udcff.jpg")


async def test_the_login_goes_along_at_once_and_cookies_are_kept() -> None:
    answer = Canned(multi(response("/dav/", FOLDER)), headers="Set-Cookie: session=abc; path=/\r\n")
    async with canned(answer) as dav:
        await dav.folder("")
        await dav.folder("")

    assert ["Authorization: Basic" in head for head in answer.heads] == [True, True]
    assert ["session=abc" in head for head in answer.heads] == [False, True]


async def test_nobody_there_is_worth_another_try() -> None:
    async with asyncio.timeout(20), open_dav(DavPlace(f"http://127.0.0.1:{free_port()}/")) as dav:
        with pytest.raises(TransientError, match="out of reach"):
            await dav.folder("")


@pytest.mark.parametrize("headers", ["Content-Encoding: gzip\r\n", "ETag: f\r\n", 'ETag: W/"f"\r\n'])
async def test_another_file_s_content_is_not_read(headers: str) -> None:
    async with canned(Canned(b"abc", "200 OK", headers)) as dav:
        with pytest.raises((ChangedError, TransientError)):
            await read(dav, "a.jpg", '"e"')


async def test_a_page_of_a_proxy_is_not_read_for_an_image() -> None:
    async with canned(Canned(b"<html>", "200 OK", "Content-Type: text/html\r\n")) as dav:
        with pytest.raises((PermanentError, TransientError)):
            await read(dav, "a.jpg", '"e"')


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_an_answer_may_come_in_any_pieces(step: int) -> None:
    body = multi(*(response(f"/dav/{number}.jpg", IMAGE + TAG) for number in range(20)))
    document = Multistatus("x")

    found = [entry for at in range(0, len(body), step) for entry in document.feed(body[at : at + step])]

    assert [entry.path for entry in found + document.close()] == [
        f"/dav/{number}.jpg" for number in range(20)
    ]
    assert {entry.tags for entry in found} == {
        (Tag(7, " ai:cats ", can_assign=True), Tag(8, "ai:dogs", can_assign=False))
    }


def test_three_thousand_files_with_tags_cost_less_than_a_second_and_little_memory() -> None:
    entries = [response(f"/dav/image-{number:05}.jpg", IMAGE + TAG) for number in range(3000)]
    body = multi(*entries)

    begun_s = time.process_time()
    count = _read_in_pieces(body)
    spent_s = time.process_time() - begun_s
    tracemalloc.start()
    _read_in_pieces(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 3000
    assert spent_s < 1
    assert peak_bytes < len(body) / 2


def _read_in_pieces(body: bytes) -> int:
    document = Multistatus("x")
    count = sum(len(document.feed(body[at : at + 65536])) for at in range(0, len(body), 65536))
    return count + len(document.close())
