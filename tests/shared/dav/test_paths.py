"""No path leads out of the place, and no document makes the reader fail in a way of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dav.multistatus import parsed
from shared.errors import InvalidInputError, TransientError
from tests.shared.dav.canned import FOLDER, IMAGE, Canned, canned, multi, response
from tests.shared.dav.contents import read, written

LEADING_ELSEWHERE = (
    "../x",
    "a/../../x",
    "..",
    "/x",
    "a//x",
    "a/./x",
    "a\\..\\x",
    "a\nDestination: x",
    "a\0x",
    "\udcff",
    "x" * 5000,
)
DOCUMENT = multi(response("/dav/", FOLDER), response("/dav/a.jpg", IMAGE))


@pytest.mark.parametrize("path", LEADING_ELSEWHERE, ids=range(len(LEADING_ELSEWHERE)))
async def test_a_path_that_leads_elsewhere_is_never_sent_neither_as_source_nor_as_target(path: str) -> None:
    """Servers resolve ``..`` in ``Destination``: Nextcloud then moves out of the folder."""
    answer = Canned()
    async with canned(answer) as dav:
        asked = (
            dav.look(path),
            dav.folder(path),
            dav.folder(path, tags=True),
            read(dav, path),
            written(dav, path),
            dav.stored_sha256(path),
            dav.delete(path, etag='"e"'),
            dav.move("a.jpg", path, etag='"e"'),
            dav.move(path, "b.jpg", etag='"e"'),
            dav.make_folders(path),
            dav.probe(path),
        )
        for one in asked:
            with pytest.raises(InvalidInputError):
                await one

    assert answer.heads == []


async def test_names_are_escaped_once_and_the_destination_is_a_whole_address() -> None:
    answer = Canned(status="503 Service Unavailable")
    async with canned(answer) as dav:
        with pytest.raises(TransientError):
            await dav._verbs.move("50% #1?.jpg", "cats/ü;a+b.jpg")
        root = dav.place.url

    first, *headers = answer.heads[0].split("\r\n")
    assert first == "MOVE /dav/50%25%20%231%3F.jpg HTTP/1.1"
    assert f"Destination: {root}cats/%C3%BC%3Ba%2Bb.jpg" in headers
    assert "Overwrite: F" in headers


@given(st.binary(max_size=200))
def test_bytes_that_are_no_answer_are_told_as_such(body: bytes) -> None:
    with pytest.raises(TransientError):
        parsed(body, "x")


@settings(max_examples=200)
@given(st.integers(0, len(DOCUMENT) - 1), st.binary(max_size=4), st.integers(0, 60))
def test_a_damaged_answer_is_read_or_told_as_such(at: int, put: bytes, without: int) -> None:
    try:
        found = parsed(DOCUMENT[:at] + put + DOCUMENT[at + without :], "x")
    except TransientError:
        return
    assert all(entry.path.startswith("/") for entry in found)
