"""Passwords are kept as slow hashes, few are hashed at once, and guesses are counted."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from shared.errors import TransientError
from shared.passwords import (
    HASHES_WAITING,
    NAMES_AT_MOST,
    PASSES,
    Hashed,
    Hashing,
    Throttle,
    password_hash,
    token_key,
)


async def test_what_is_kept_of_a_password_knows_it_again_and_no_other() -> None:
    hashing = Hashing()
    kept = await hashing.hashed("correct horse")

    assert (len(kept.salt), len(kept.password_hash), kept.passes) == (32, 64, PASSES)
    assert await hashing.is_password("correct horse", kept)
    assert not await hashing.is_password("battery staple", kept)
    assert not await hashing.is_password("correct horse", None)


async def test_what_an_earlier_release_kept_is_still_known() -> None:
    salt = bytes(range(16))
    hashed = hashlib.scrypt(b"correct horse", salt=salt, n=2**15, r=8, p=1, maxmem=64 << 20, dklen=32)
    kept = Hashed(salt.hex(), hashed.hex(), passes=1)

    assert password_hash("correct horse", salt, 1) == hashed
    assert await Hashing().is_password("correct horse", kept)


def test_a_token_is_kept_by_its_sha256() -> None:
    assert token_key("secret") == hashlib.sha256(b"secret").hexdigest()
    assert token_key("\ud7ff\udc00")  # no text that a request may carry is a fault


async def test_more_who_wait_are_sent_away() -> None:
    hashing = Hashing()
    kept = Hashed(bytes(16).hex(), bytes(32).hex(), passes=1)
    asking = [asyncio.create_task(hashing.is_password("a", kept)) for _ in range(HASHES_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(TransientError, match="Too many logins at once"):
        await hashing.is_password("b", kept)

    for one in asking[2:]:  # who gives up leaves their place
        one.cancel()
    await asyncio.wait(asking)
    assert not await hashing.is_password("b", kept)


def test_a_throttle_closes_after_enough_in_a_while_and_opens_again() -> None:
    throttle = Throttle(at_most=2, per_s=60)
    throttle.count("a", 0)
    assert not throttle.is_closed("a", 1)
    throttle.count("a", 10)
    assert throttle.is_closed("a", 59)
    assert not throttle.is_closed("b", 59)
    assert not throttle.is_closed("a", 60)
    throttle.forget("a")
    assert not throttle.is_closed("a", 11)


def test_a_throttle_remembers_so_many_names_and_no_more() -> None:
    throttle = Throttle(at_most=1, per_s=60)
    for number in range(NAMES_AT_MOST + 1):
        throttle.count(str(number), 0)
    assert not throttle.is_closed("0", 1)
    assert throttle.is_closed("1", 1)
