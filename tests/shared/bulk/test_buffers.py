"""A buffer is used again when nobody can see it, and no sooner."""

from __future__ import annotations

from shared.bulk.buffers import BUFFER_BYTES, Buffers


def test_what_somebody_sees_is_not_lent_again() -> None:
    buffers = Buffers(4)
    first = buffers.lent(BUFFER_BYTES)
    first[:5] = b"first"
    part = first[1:5]
    del first
    second = buffers.lent(BUFFER_BYTES)
    second[:5] = b"other"

    assert bytes(part) == b"irst"


def test_what_nobody_sees_is_lent_again() -> None:
    buffers = Buffers(4)
    first = buffers.lent(BUFFER_BYTES)
    first[:5] = b"first"
    del first

    assert bytes(buffers.lent(BUFFER_BYTES - 1)[:5]) == b"first"


def test_little_is_memory_of_its_own() -> None:
    buffers = Buffers(4)
    large = buffers.lent(BUFFER_BYTES)
    large[:5] = b"large"
    del large

    assert bytes(buffers.lent(5)) == bytes(5)
    assert len(buffers.lent(3 * BUFFER_BYTES)) == 3 * BUFFER_BYTES


def test_no_more_buffers_are_kept_than_are_wanted() -> None:
    buffers = Buffers(1)
    lent = [buffers.lent(BUFFER_BYTES) for _ in range(3)]
    for number, view in enumerate(lent):
        view[:1] = bytes([number + 1])
    del view
    lent.clear()

    assert [bytes(buffers.lent(BUFFER_BYTES)[:1]) == b"\0" for _ in range(2)] == [False, False]
    kept, fresh = buffers.lent(BUFFER_BYTES), buffers.lent(BUFFER_BYTES)
    assert (bytes(kept[:1]) != b"\0", bytes(fresh[:1])) == (True, b"\0")
