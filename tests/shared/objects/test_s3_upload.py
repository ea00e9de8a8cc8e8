"""Streams become parts without being put together, whatever sizes their pieces have."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from hashlib import sha256

import pytest

from shared.objects.port import ContentError
from shared.objects.s3_body import HashedBody
from shared.objects.s3_upload import PIECE_BYTES, Measured, parts_of

PART = 4 * PIECE_BYTES
SIZES = {
    "nothing": [],
    "empty pieces": [0, 0],
    "one byte": [1],
    "tiny": [7] * 2000,
    "a part": [PART],
    "a part and a byte": [PART, 1],
    "large": [3 * PART + 5],
    "mixed": [1, PIECE_BYTES, 2, PART - 1, PIECE_BYTES - 1, 0, 9, 2 * PART],
}


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def content_of(sizes: list[int]) -> list[bytes]:
    chance = random.Random(len(sizes))
    return [chance.randbytes(size) for size in sizes]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
async def test_a_stream_is_cut_into_parts_of_one_size_and_each_has_its_hash(sizes: list[int]) -> None:
    chunks = content_of(sizes)
    whole = b"".join(chunks)
    measured = Measured(len(whole), sha256(whole).hexdigest())
    parts = [body async for body in measured.passing(parts_of(stream(chunks), PART))]
    measured.check()
    sent = [b"".join([bytes(piece) async for piece in body]) for body in parts]

    assert b"".join(sent) == whole
    assert [len(body) for body in parts[:-1]] == [PART] * (len(parts) - 1)
    assert len(parts) == max(1, -(-len(whole) // PART))
    assert [body.sha256 for body in parts] == [sha256(content).hexdigest() for content in sent]
    assert measured.size_bytes == len(whole)


async def test_large_pieces_are_sent_as_they_came_and_small_ones_together() -> None:
    chunks = [bytes(PIECE_BYTES + 1), bytes(10), bytes(10), bytes(PIECE_BYTES)]
    (pieces,) = [part async for part in parts_of(stream(chunks), PART)]

    assert [len(piece) for piece in pieces] == [PIECE_BYTES + 1, 20, PIECE_BYTES]
    assert (pieces[0].obj, pieces[2].obj) == (chunks[0], chunks[3])
    assert pieces[0].obj is chunks[0]


async def test_a_body_in_pieces_is_read_and_sent_as_often_as_wanted() -> None:
    body = HashedBody([memoryview(b"0123"), memoryview(b"45678"), memoryview(b"9")], "")
    first, rest = bytes(body.read(5)), bytes(body.read())
    body.seek(0)

    assert (first, rest, bytes(body.read(3)), body.tell()) == (b"01234", b"56789", b"012", 3)
    assert [b"".join([bytes(piece) async for piece in body]) for _ in range(2)] == [b"0123456789"] * 2


async def test_more_than_was_promised_is_refused_before_all_of_it_came() -> None:
    taken = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(PART)

    with pytest.raises(ContentError, match="more than the promised"):
        async for _ in Measured(PART, None).passing(parts_of(endless(), PART)):
            pass

    assert len(taken) < 5
