from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.archives import Member
from shared.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from shared.settings import PlatformSettings
from shared.sources import Source, SourceChangedError, flight_id, open_sources
from shared.sources.zip_directory import directory_span, members
from tests.shared.sources.places import content, entry_of, settings
from tests.support.web_index import WebServer, web_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebServer]:
    folder = tmp_path / "www"
    (folder / "flight").mkdir(parents=True)
    (folder / "flight" / "a.jpg").write_bytes(b"one" * 1000)
    async with web_server(folder) as running:
        yield running


@asynccontextmanager
async def source_at(server: WebServer, path: str) -> AsyncIterator[Source]:
    async with open_sources(settings(server.folder, allow_private_urls=True)) as sources:
        yield await sources.at(f"{server.url}/{path}")


def write_manifest(server: WebServer, *files: dict[str, Any]) -> None:
    (server.folder / "flight.json").write_text(json.dumps({"files": files}))


def write_zip(server: WebServer, **entries: bytes) -> None:
    with zipfile.ZipFile(server.folder / "flight.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("path", ["flight/", "flight", "flight.json", "flight.zip"])
async def test_an_address_is_taken_for_what_it_is(server: WebServer, path: str) -> None:
    write_manifest(server, {"path": "a.jpg", "size": 3000, "url": "flight/a.jpg"})
    write_zip(server, **{"a.jpg": b"one" * 1000})
    async with source_at(server, path) as source:
        assert await content(source, await entry_of(source, "a.jpg")) == b"one" * 1000


async def test_an_address_that_holds_no_files_is_refused(server: WebServer) -> None:
    with pytest.raises(InvalidInputError, match="neither a manifest"):
        async with source_at(server, "flight/a.jpg"):
            pass


@pytest.mark.parametrize(
    "page", ["", "<html><body>Please log in</body></html>", '<a href="https://elsewhere.example/">x</a>']
)
async def test_a_page_that_lists_nothing_is_never_an_empty_folder(server: WebServer, page: str) -> None:
    server.page = page
    async with source_at(server, "flight/") as source:
        with pytest.raises(InvalidInputError, match="is no listing"):
            await source.folder()


async def test_an_empty_folder_is_one_whose_page_says_so(server: WebServer) -> None:
    server.page = "<html><title>Index of /flight</title></html>"
    async with source_at(server, "flight/") as source:
        assert (await source.folder()).files == ()


async def test_links_that_lead_away_are_not_followed(server: WebServer) -> None:
    server.page = "".join(
        f'<a href="{href}">x</a>'
        for href in ("a.jpg", "/flight/a.jpg", "../x.jpg", "/x.jpg", "//evil.example/b.jpg", "sub/deep.jpg",
                     "a.jpg#x", "%2e%2e/x.jpg", "a.jpg?download", "javascript:alert(1)", "mailto:x@y", "http://[bad")
    )  # fmt: skip
    async with source_at(server, "flight/") as source:
        folder = await source.folder()

    assert [entry.path for entry in folder.files] == ["a.jpg"]


async def test_a_listed_file_that_is_not_there_is_told(server: WebServer) -> None:
    server.page = '<a href="a.jpg">a</a><a href="gone.jpg">gone</a>'
    async with source_at(server, "flight/") as source:
        folder = await source.folder()

    assert [(item.path, item.reason) for item in folder.skipped] == [
        ("gone.jpg", "it is listed, and not there")
    ]


async def test_a_page_of_json_tells_sizes_itself(server: WebServer) -> None:
    server.json_pages = True
    async with source_at(server, "flight/") as source:
        entry = await entry_of(source, "a.jpg")
        assert server.calls["HEAD"] == 0
        assert await content(source, entry) == b"one" * 1000


@pytest.mark.parametrize("path", ["flight/", "flight.json"])
async def test_a_body_cut_short_is_noticed(server: WebServer, path: str) -> None:
    write_manifest(server, {"path": "a.jpg", "size": 3000, "url": "flight/a.jpg"})
    async with source_at(server, path) as source:
        entry = await entry_of(source, "a.jpg")
        server.cut_at_bytes = 2999
        with pytest.raises(SourceChangedError, match="2999 bytes came, 3000 were listed"):
            await content(source, entry)


async def test_a_server_without_ranges_is_read_from_the_middle_all_the_same(server: WebServer) -> None:
    server.has_ranges = False
    async with source_at(server, "flight/") as source:
        entry = await entry_of(source, "a.jpg")
        assert await content(source, entry, 2999) == b"e"
        assert await content(source, entry, 3000) == b""


async def test_a_file_without_an_etag_is_looked_at_again(server: WebServer) -> None:
    server.has_etags = False
    async with source_at(server, "flight/") as source:
        entry = await entry_of(source, "a.jpg")
        assert entry.token.endswith("GMT")
        heads = server.calls["HEAD"]
        assert await content(source, entry) == b"one" * 1000
        assert server.calls["HEAD"] == heads + 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_fault_that_passes_is_waited_out(server: WebServer, status: int) -> None:
    server.status, server.times = status, 2
    async with source_at(server, "flight/") as source:
        assert len((await source.folder()).files) == 1


async def test_a_long_wait_is_left_to_the_caller(server: WebServer) -> None:
    server.status, server.retry_after = 429, "600"
    async with source_at(server, "flight/") as source:
        with pytest.raises(TransientError) as raised:
            await source.folder()

    assert raised.value.retry_after is not None
    assert sum(server.calls.values()) == 1


async def test_redirects_within_reason_are_followed(server: WebServer) -> None:
    write_manifest(server, {"path": "a.jpg", "size": 3000, "url": "old/a.jpg"})
    server.redirects |= {"/old/a.jpg": "/flight/a.jpg", "/loop/": "/loop/"}
    async with source_at(server, "flight.json") as source:
        assert await content(source, await entry_of(source, "a.jpg")) == b"one" * 1000
    async with source_at(server, "loop/") as source:
        with pytest.raises(InvalidInputError, match="redirects"):
            await source.folder()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/", "http://a:b@127.0.0.1/"])
async def test_redirects_to_other_things_are_not(server: WebServer, target: str) -> None:
    server.redirects["/flight/"] = target
    async with source_at(server, "flight/") as source:
        with pytest.raises(InvalidInputError):
            await source.folder()


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/x.json",
        "http://cloud.example/x.json",
        "https://anna:hidden@cloud.example/x.json",
        "https://",
    ],
)
async def test_addresses_that_nobody_may_ask_for_are_refused(uri: str) -> None:
    async with open_sources(PlatformSettings()) as sources:
        with pytest.raises(InvalidInputError) as raised:
            await sources.at(uri)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "2130706433"]
)
async def test_private_addresses_are_not_reached(host: str) -> None:
    async with open_sources(PlatformSettings()) as sources:
        source = await sources.at(f"https://{host}/flight.json")
        with pytest.raises((InvalidInputError, TransientError), match=r"public address|out of reach"):
            await source.folder()


async def test_a_manifest_names_files_wherever_they_are(server: WebServer) -> None:
    digest = hashlib.sha256(b"one" * 1000).hexdigest()
    write_manifest(
        server,
        {
            "path": "code/images/b.jpg",
            "size": 3000,
            "url": f"{server.url}/flight/a.jpg",
            "sha256": digest.upper(),
        },
    )
    async with source_at(server, "flight.json") as source:
        entry = await entry_of(source, "code/images/b.jpg")
        assert await content(source, entry) == b"one" * 1000

    assert (entry.sha256, entry.token) == (digest, digest)


async def test_files_of_a_manifest_that_cannot_be_used_spoil_no_others(server: WebServer) -> None:
    write_manifest(
        server,
        {"path": "a.jpg", "size": 1},
        {"path": "a.jpg", "size": 2},
        {"path": "../b.jpg", "size": 1},
        {"path": "", "size": 1},
        {"path": "c.jpg", "size": 1, "url": "ftp://x/c.jpg"},
        {"path": "d.jpg", "size": 1, "url": "http://anna:hidden@x/d.jpg"},
    )
    async with source_at(server, "flight.json") as source:
        folder = await source.folder()

    assert [entry.path for entry in folder.files] == ["a.jpg"]
    assert {item.path for item in folder.skipped} >= {"a.jpg", "c.jpg", "d.jpg"}
    assert "hidden" not in str(folder.skipped)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"files": 3}', '{"files": [{"path": "a"}]}', '{"files": [{"path": "a", "size": -1}]}',
     '{"files": [{"path": "a", "size": "3"}]}', '{"files": [{"path": "a", "size": 3, "sha256": "x"}]}'],
)  # fmt: skip
async def test_what_is_no_manifest_says_where_it_is_wrong(server: WebServer, text: str) -> None:
    (server.folder / "flight.json").write_text(text)
    async with source_at(server, "flight.json") as source:
        with pytest.raises(InvalidInputError, match="is no manifest"):
            await source.folder()


async def test_a_signed_address_names_the_same_flight_tomorrow(server: WebServer) -> None:
    write_manifest(server, {"path": "a.jpg", "size": 3000, "url": "flight/a.jpg"})
    ids = set()
    for query in ("X-Amz-Signature=1&X-Amz-Date=2", "X-Amz-Signature=3", "sig=x&se=y", ""):
        async with source_at(server, f"flight.json?{query}") as source:
            ids.add(flight_id(source, ""))
    async with source_at(server, "flight.json?flight=2") as source:
        assert flight_id(source, "") not in ids

    assert len(ids) == 1


async def test_an_archive_is_read_in_parts(server: WebServer) -> None:
    write_zip(server, **{f"F/code/images/{number:03}.jpg": bytes([number]) * 50_000 for number in range(200)})
    async with source_at(server, "flight.zip") as source:
        folder = await source.folder("F/code/images")
        assert len(folder.files) == 200
        assert await content(source, folder.files[150]) == bytes([150]) * 50_000
        with pytest.raises(NotFoundError):
            await source.folder("nothing")


async def test_an_archive_without_ranges_is_refused(server: WebServer) -> None:
    write_zip(server, **{"a.jpg": b"one"})
    server.has_ranges = False
    async with source_at(server, "flight.zip") as source:
        with pytest.raises(InvalidInputError, match="sends no parts"):
            await source.folder()


async def test_entries_that_lead_away_are_told(server: WebServer) -> None:
    with zipfile.ZipFile(server.folder / "flight.zip", "w") as archive:
        for name in (
            "a.jpg",
            "../b.jpg",
            "/c.jpg",
            "x/../d.jpg",
            "e.jpg",
            "e.jpg",
            "__MACOSX/f.jpg",
            "folder/",
        ):
            if name == "e.jpg" and name in archive.namelist():
                with pytest.warns(UserWarning, match="Duplicate"):
                    archive.writestr(name, b"other")
            else:
                archive.writestr(name, b"one")
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    async with source_at(server, "flight.zip") as source:
        folder = await source.folder()

    assert [entry.path for entry in folder.files] == ["a.jpg", "e.jpg"]
    assert [item.path for item in folder.skipped] == ["../b.jpg", "/c.jpg", "e.jpg", "x/../d.jpg"]


def packed(
    entries: dict[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in (entries or {"a": b"one"}).items():
            archive.writestr(name, data)
    return bytearray(buffer.getvalue())


def listed(archive: bytes) -> list[Member]:
    begin, end = directory_span(archive, len(archive))
    return members(archive[begin:end], begin)


def test_a_directory_is_found_behind_a_comment() -> None:
    (member,) = listed(bytes(packed(comment=b"PK\x05\x06 a trap" * 100)))

    assert (member.name, member.size_bytes) == ("a", 3)


def test_a_large_archive_has_its_numbers_elsewhere() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a", "w", force_zip64=True) as entry:
        entry.write(b"one")
    data = bytearray(buffer.getvalue())
    begin, _ = directory_span(bytes(data), len(data))
    extra = struct.pack("<2HQ", 1, 8, 3)
    data[begin + 24 : begin + 28] = b"\xff" * 4  # the size stands in the extra field
    data[begin + 30 : begin + 32] = struct.pack("<H", len(extra))
    data[begin + 47 : begin + 47] = extra
    (member,) = members(bytes(data[begin : begin + 47 + len(extra)]), begin)

    assert member.size_bytes == 3


def spoilt(archive: bytearray, at: int, value: bytes) -> bytes:
    """Return an archive whose directory has other bytes at a place of its first entry."""
    begin, _ = directory_span(bytes(archive), len(archive))
    archive[begin + at : begin + at + len(value)] = value
    return bytes(archive)


@pytest.mark.parametrize(
    ("archive", "says"),
    [
        (b"", "no ZIP archive"),
        (b"PK\x05\x06", "no ZIP archive"),
        (bytes(packed())[:-5], "no ZIP archive"),
        (spoilt(packed(), 0, b"XXXX"), "damaged"),
        (spoilt(packed(), 8, b"\x01"), "encrypted"),
        (spoilt(packed(), 10, b"\x0c"), "method 12"),
        (spoilt(packed(), 24, struct.pack("<L", 1 << 31)), "claims too much"),
        (spoilt(packed(), 20, struct.pack("<L", 1 << 30)), "overlaps"),
        (spoilt(packed(), 24, b"\xff" * 4), "damaged"),
    ],
)  # fmt: skip
def test_an_archive_that_means_harm_is_refused(archive: bytes, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        listed(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_a_damaged_entry_is_noticed(server: WebServer, method: int) -> None:
    archive = packed({"a.jpg": bytes(range(256)) * 100}, method)
    archive[60:64] = b"\xff\x00\xff\x00"
    (server.folder / "flight.zip").write_bytes(archive)
    async with source_at(server, "flight.zip") as source:
        entry = await entry_of(source, "a.jpg")
        with pytest.raises((PermanentError, TransientError)):
            await content(source, entry)


async def test_an_entry_that_unpacks_to_more_than_it_claims_is_stopped(server: WebServer) -> None:
    archive = spoilt(packed({"a.jpg": bytes(50 << 20)}), 24, struct.pack("<L", 1000))
    (server.folder / "flight.zip").write_bytes(archive)
    async with source_at(server, "flight.zip") as source:
        entry = await entry_of(source, "a.jpg")
        with pytest.raises(SourceChangedError, match="more than 1000"):
            await content(source, entry)
