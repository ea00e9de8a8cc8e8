"""What every object store does."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import InvalidInputError, NotFoundError
from shared.objects.port import ContentError, ObjectExistsError, ObjectStore

Content = AsyncIterator[bytes] | bytes | Path

LARGE = os.urandom((33 << 20) + 7)
"""More than two parts of a multipart upload."""

KEYS = [
    "a",
    "a/b",
    "a/b/c",
    "a-b",
    "A",
    "a b+c",
    "é/ü/日本",
    "#?%/%2F=~",
    ".hidden/.a=1",
    "x" * 1000,
    "y/" * 400 + "z",
]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def stream(content: bytes, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(content), chunk_bytes):
        yield content[start : start + chunk_bytes]


async def listed(objects: ObjectStore, prefix: str = "", *, after: str | None = None) -> list[str]:
    return [item.key async for item in objects.list(prefix, after=after)]


@pytest.fixture(params=["bytes", "stream", "path"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Content]:
    """Give content in one of the three ways."""

    def give(content: bytes) -> Content:
        if request.param == "path":
            (tmp_path / "given").write_bytes(content)
            return tmp_path / "given"
        return content if request.param == "bytes" else stream(content)

    return give


@pytest.mark.parametrize("content", [b"", b"abc", LARGE], ids=["empty", "small", "large"])
async def test_what_was_put_is_read_back(
    objects: ObjectStore, given: Callable[[bytes], Content], content: bytes
) -> None:
    put = await objects.put("k", given(content), content_type="image/tiff", metadata={"taken-by": "Ä b%20 "})
    stat = await objects.stat("k")

    assert await objects.read("k") == content
    assert stat is not None
    assert (stat.size_bytes, stat.sha256, stat.content_type) == (len(content), sha256(content), "image/tiff")
    assert stat.metadata == put.metadata == {"taken-by": "Ä b%20 "}
    assert (put.sha256, put.size_bytes, put.etag) == (stat.sha256, stat.size_bytes, stat.etag)
    assert abs(stat.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_put_replaces_what_was_there(objects: ObjectStore) -> None:
    await objects.put("k", b"old", content_type="text/plain", metadata={"a": "1"})
    await objects.put("k", b"newer")

    stat = await objects.stat("k")
    assert stat is not None
    assert (stat.sha256, stat.metadata) == (sha256(b"newer"), {})
    assert await objects.read("k") == b"newer"


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
async def test_a_broken_promise_stores_nothing(
    objects: ObjectStore, given: Callable[[bytes], Content], content: bytes
) -> None:
    size = len(content)
    for size_bytes, digest in ((size - 1, None), (size + 1, None), (size, sha256(b"else"))):
        with pytest.raises(ContentError):
            await objects.put("k", given(content), size_bytes=size_bytes, sha256=digest)

    assert await listed(objects) == []


async def test_a_kept_promise_is_stored(objects: ObjectStore, given: Callable[[bytes], Content]) -> None:
    await objects.put("k", given(b"content"), size_bytes=7, sha256=sha256(b"content").upper())

    assert await listed(objects) == ["k"]


async def test_a_broken_stream_stores_nothing(objects: ObjectStore) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield LARGE
        raise RuntimeError("the source broke")

    await objects.put("k", b"old")
    with pytest.raises(RuntimeError, match="the source broke"):
        await objects.put("k", breaking())

    assert await objects.read("k") == b"old"


async def test_a_cancelled_put_stores_nothing(objects: ObjectStore) -> None:
    begun = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        yield LARGE
        begun.set()
        await asyncio.sleep(60)

    putting = asyncio.create_task(objects.put("k", waiting()))
    await begun.wait()
    putting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await objects.stat("k") is None


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
async def test_create_only_leaves_what_is_there(objects: ObjectStore, content: bytes) -> None:
    await objects.put("k", content, create_only=True, metadata={"a": "1"})
    again = await objects.put("k", stream(content), create_only=True, metadata={"a": "2"})

    assert (again.sha256, again.metadata) == (sha256(content), {"a": "1"})
    with pytest.raises(ObjectExistsError):
        await objects.put("k", stream(content[:-1]), create_only=True)
    assert await objects.read("k", at_most=64 << 20) == content


async def test_of_many_creates_at_once_one_wins(objects: ObjectStore) -> None:
    contents = [b"%d" % n for n in range(16)]
    outcomes = await asyncio.gather(
        *(objects.put("k", content, create_only=True) for content in contents), return_exceptions=True
    )

    winners = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, ObjectExistsError) for outcome in outcomes) == 15
    assert await objects.read("k") == contents[winners[0]]


async def test_many_overwrites_at_once_leave_one_whole(objects: ObjectStore) -> None:
    contents = [b"%d" % n * 1000 for n in range(10, 26)]
    await asyncio.gather(*(objects.put("k", stream(content)) for content in contents))

    stat = await objects.stat("k")
    content = await objects.read("k")
    assert content in contents
    assert stat is not None
    assert stat.sha256 == sha256(content)


async def test_all_keys_coexist_and_are_listed_in_order(objects: ObjectStore) -> None:
    for key in KEYS:
        await objects.put(key, key.encode())

    assert await listed(objects) == sorted(KEYS)
    assert [await objects.read(key) for key in KEYS] == [key.encode() for key in KEYS]
    assert [objects.key(objects.uri(key)) for key in KEYS] == KEYS


async def test_a_listing_begins_with_a_prefix_and_behind_a_key(objects: ObjectStore) -> None:
    for key in KEYS:
        await objects.put(key, b"")

    for prefix in ("a", "a/", "a/b", "é/ü/", "nothing/", "x" * 999):
        assert await listed(objects, prefix) == sorted(key for key in KEYS if key.startswith(prefix))
    for after in ("a", "a/", "a/b", "a0", "zz"):
        assert await listed(objects, after=after) == sorted(key for key in KEYS if key > after)
    assert await listed(objects, "a/", after="a/b") == ["a/b/c"]


@pytest.mark.parametrize("count", [250, pytest.param(1100, marks=pytest.mark.long)])
async def test_a_listing_has_more_than_a_page(objects: ObjectStore, count: int) -> None:
    keys = [f"many/{n:04}" for n in range(count)]
    slots = asyncio.Semaphore(32)

    async def put(key: str) -> None:
        async with slots:
            await objects.put(key, b"x")

    await asyncio.gather(*map(put, keys))

    assert [(item.key, item.size_bytes) async for item in objects.list("many/")] == [(key, 1) for key in keys]


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "x" * 1025, "a\0", "\ud800", "ü" * 513]
)
async def test_a_bad_key_is_refused(objects: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidInputError):
        await objects.put(key, b"x")
    with pytest.raises(InvalidInputError):
        await objects.stat(key)


@pytest.mark.parametrize("uri", ["s3://other/k", "file:///etc/passwd", "k", ""])
async def test_a_uri_of_another_store_is_refused(objects: ObjectStore, uri: str) -> None:
    with pytest.raises(InvalidInputError):
        objects.key(uri)


async def test_a_uri_cannot_lead_out_of_the_store(objects: ObjectStore) -> None:
    inside = objects.uri("k")

    with pytest.raises(InvalidInputError):
        objects.key(f"{inside}/%2e%2e/%2e%2e/x")


@pytest.mark.parametrize("name", ["Upper", "", "under_score", "sha256", "ü", "a b"])
async def test_a_bad_name_of_metadata_is_refused(objects: ObjectStore, name: str) -> None:
    with pytest.raises(InvalidInputError):
        await objects.put("k", b"x", metadata={name: "1"})


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (3, 99, b"3456789"),
        (5, 5, b""),
        (10, None, b""),
    ],
)
async def test_a_range_is_read(objects: ObjectStore, start: int, end: int | None, expected: bytes) -> None:
    await objects.put("k", b"0123456789")

    async with objects.open("k", start=start, end=end) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == expected


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4)])
async def test_an_impossible_range_is_refused(objects: ObjectStore, start: int, end: int | None) -> None:
    await objects.put("k", b"0123456789")

    with pytest.raises(InvalidInputError):
        async with objects.open("k", start=start, end=end):
            pass


async def test_an_empty_object_is_read(objects: ObjectStore) -> None:
    await objects.put("k", b"")

    async with objects.open("k") as chunks:
        assert [chunk async for chunk in chunks] == []


async def test_a_large_object_is_read_in_chunks(objects: ObjectStore) -> None:
    await objects.put("k", LARGE)

    async with objects.open("k") as chunks:
        parts = [chunk async for chunk in chunks]
    assert max(map(len, parts)) <= 1 << 20
    assert b"".join(parts) == LARGE


async def test_an_object_too_large_to_read_whole_is_refused(objects: ObjectStore) -> None:
    await objects.put("k", b"0123456789")

    with pytest.raises(InvalidInputError, match="10 bytes"):
        await objects.read("k", at_most=9)


@pytest.mark.parametrize("content", [b"", LARGE], ids=["empty", "large"])
async def test_a_download_is_the_object(objects: ObjectStore, tmp_path: Path, content: bytes) -> None:
    put = await objects.put("k", content)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "file").write_bytes(b"what was there before")

    got = await objects.download("k", tmp_path / "to" / "file")

    assert (tmp_path / "to" / "file").read_bytes() == content
    assert (got.sha256, got.size_bytes) == (put.sha256, put.size_bytes)
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["file"]


async def test_what_is_not_there_is_not_found(objects: ObjectStore, tmp_path: Path) -> None:
    await objects.put("a", b"")
    for key in ("nothing", "a/b", "no/where"):
        assert await objects.stat(key) is None
        with pytest.raises(NotFoundError):
            await objects.read(key)
        with pytest.raises(NotFoundError):
            await objects.download(key, tmp_path / "x")
        with pytest.raises(NotFoundError):
            await objects.copy(key, "b")
        with pytest.raises(NotFoundError):
            async with objects.open(key):
                pass


async def test_a_file_that_is_not_there_cannot_be_put(objects: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await objects.put("k", tmp_path / "nothing")


@pytest.mark.parametrize("target", ["k", "other/key", "k/below"])
async def test_a_copy_is_the_same_object(objects: ObjectStore, target: str) -> None:
    await objects.put("k", b"content", content_type="text/plain", metadata={"a": "ü"})
    copied = await objects.copy("k", target)

    stat = await objects.stat(target)
    assert await objects.read(target) == b"content"
    assert stat is not None
    assert (stat.sha256, stat.content_type, stat.metadata) == (sha256(b"content"), "text/plain", {"a": "ü"})
    assert copied.key == target


async def test_a_copy_takes_the_hash_that_is_kept(objects: ObjectStore) -> None:
    put = await objects.put("k", b"content")

    assert (await objects.copy("k", "other")).sha256 == put.sha256
    assert (await objects.copy("k", "told", sha256=sha256(b"content").upper())).sha256 == put.sha256


async def test_a_copy_that_is_said_to_have_another_hash_is_none(objects: ObjectStore) -> None:
    await objects.put("k", b"content")

    with pytest.raises(ContentError, match=sha256(b"else")):
        await objects.copy("k", "other", sha256=sha256(b"else"))
    assert await listed(objects) == ["k"]


async def test_an_object_can_be_copied_onto_itself(objects: ObjectStore) -> None:
    await objects.put("k", b"content", content_type="text/plain", metadata={"a": "ü"})
    await objects.copy("k", "k", sha256=sha256(b"content"))

    stat = await objects.stat("k")
    assert await objects.read("k") == b"content"
    assert stat is not None
    assert (stat.sha256, stat.content_type, stat.metadata) == (sha256(b"content"), "text/plain", {"a": "ü"})


async def test_a_deleted_object_is_gone(objects: ObjectStore) -> None:
    await objects.put("a", b"1")
    await objects.put("a/b", b"2")
    await objects.delete("a")
    await objects.delete("a")
    await objects.delete("not/there")

    assert await listed(objects) == ["a/b"]


async def test_puts_and_deletes_at_once_do_not_disturb_each_other(objects: ObjectStore) -> None:
    async def work(n: int) -> None:
        for _ in range(10):
            await objects.put(f"deep/{n % 2}/er/{n}", b"x")
            await objects.delete(f"deep/{n % 2}/er/{n}")

    await asyncio.gather(*map(work, range(8)))

    assert await listed(objects) == []


async def test_a_signed_url_names_the_object(objects: ObjectStore) -> None:
    await objects.put("a b", b"1")

    assert "a%20b?" in await objects.presign("a b", expires=timedelta(minutes=5))


async def test_an_open_store_answers_a_ping(objects: ObjectStore) -> None:
    await objects.ping()

    assert await listed(objects) == []
