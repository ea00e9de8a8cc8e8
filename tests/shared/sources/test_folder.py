from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from shared.errors import InvalidInputError, NotFoundError
from shared.sources import Entry, Source, SourceChangedError, SourceForbiddenError, open_sources
from shared.sources.folder import FolderSource
from tests.shared.sources.platform import settings


async def content(source: Source, entry: Entry) -> bytes:
    async with source.open(entry) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def entry_of(source: Source, path: str) -> Entry:
    (entry,) = [entry for entry in (await source.folder(path.rpartition("/")[0])).files if entry.path == path]
    return entry


@pytest.fixture
def flight(tmp_path: Path) -> Path:
    folder = tmp_path / "flight"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.jpg").write_bytes(b"a" * 10)
    return folder


@pytest.fixture
def source(flight: Path) -> FolderSource:
    return FolderSource(flight)


async def test_a_folder_lists_files_and_folders_apart(source: FolderSource, flight: Path) -> None:
    (flight / "b.jpg").write_bytes(b"b")
    listed = await source.folder()

    assert [entry.path for entry in listed.files] == ["b.jpg"]
    assert listed.folders == ("images",)


async def test_paths_are_relative_to_the_source(source: FolderSource) -> None:
    (entry,) = (await source.folder("images")).files

    assert (entry.path, entry.size_bytes) == ("images/a.jpg", 10)
    assert await content(source, entry) == b"a" * 10


async def test_an_empty_file_has_no_content(source: FolderSource, flight: Path) -> None:
    (flight / "empty.jpg").touch()

    assert await content(source, await entry_of(source, "empty.jpg")) == b""


async def test_a_link_out_of_the_folder_is_skipped(source: FolderSource, flight: Path) -> None:
    (flight.parent / "secret").write_text("secret")
    (flight / "out.jpg").symlink_to(flight.parent / "secret")
    (flight / "above").symlink_to(flight.parent)
    listed = await source.folder()

    assert (listed.files, listed.folders) == ((), ("images",))
    assert {(item.path, item.reason) for item in listed.skipped} == {
        ("out.jpg", "link that leads out of the folder"),
        ("above", "link that leads out of the folder"),
    }


async def test_a_link_within_the_folder_is_followed(source: FolderSource, flight: Path) -> None:
    (flight / "same.jpg").symlink_to(flight / "images" / "a.jpg")

    assert await content(source, await entry_of(source, "same.jpg")) == b"a" * 10


async def test_links_to_nowhere_and_odd_files_are_skipped(source: FolderSource, flight: Path) -> None:
    (flight / "gone.jpg").symlink_to("nowhere")
    (flight / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(flight / "pipe.jpg")
    skipped = {item.path: item.reason for item in (await source.folder()).skipped}

    assert skipped.keys() == {"gone.jpg", "loop.jpg", "pipe.jpg"}
    assert skipped["gone.jpg"] == "link to nowhere"
    assert skipped["pipe.jpg"] == "neither a file nor a folder"


async def test_a_name_that_is_not_utf8_is_skipped(source: FolderSource, flight: Path) -> None:
    (flight / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    listed = await source.folder()

    assert [(item.path, item.reason) for item in listed.skipped] == [("caf?.jpg", "its name is not UTF-8")]
    assert listed.files == ()


@pytest.mark.parametrize("path", ["..", "images/../..", "/etc", "images/\0"])
async def test_paths_out_of_the_source_are_refused(source: FolderSource, path: str) -> None:
    with pytest.raises(InvalidInputError, match="lies outside"):
        await source.folder(path)


async def test_a_folder_reached_by_a_link_out_is_refused(source: FolderSource, flight: Path) -> None:
    (flight / "code").symlink_to(flight.parent)

    with pytest.raises(SourceForbiddenError, match="leads out of"):
        await source.folder("code")


async def test_a_file_swapped_for_a_link_out_is_not_read(source: FolderSource, flight: Path) -> None:
    entry = await entry_of(source, "images/a.jpg")
    (flight / "images" / "a.jpg").unlink()
    (flight / "images" / "a.jpg").symlink_to("/etc/hostname")

    with pytest.raises(SourceForbiddenError):
        await content(source, entry)


async def test_a_folder_that_is_not_there_is_not_found(source: FolderSource) -> None:
    with pytest.raises(NotFoundError, match="there is no"):
        await source.folder("nothing")


@pytest.mark.parametrize("path", ["images/a.jpg", "x" * 300])
async def test_a_path_that_can_be_no_folder_is_bad_input(source: FolderSource, path: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        await source.folder(path)

    assert raised.value.field == "source"


async def test_a_file_replaced_before_reading_is_noticed(source: FolderSource, flight: Path) -> None:
    entry = await entry_of(source, "images/a.jpg")
    (flight / "images" / "new").write_bytes(b"b" * 10)
    (flight / "images" / "new").rename(flight / "images" / "a.jpg")

    with pytest.raises(SourceChangedError, match="changed"):
        await content(source, entry)


async def test_a_file_that_grows_while_it_is_read_is_noticed(source: FolderSource, flight: Path) -> None:
    entry = await entry_of(source, "images/a.jpg")

    async def read_while_it_grows() -> None:
        async with source.open(entry) as chunks:
            await anext(chunks)
            (flight / "images" / "a.jpg").write_bytes(b"b" * 11)

    with pytest.raises(SourceChangedError, match="11 bytes, 10 were listed"):
        await read_while_it_grows()


async def test_a_file_removed_since_it_was_listed_has_changed(source: FolderSource, flight: Path) -> None:
    entry = await entry_of(source, "images/a.jpg")
    (flight / "images" / "a.jpg").unlink()

    with pytest.raises(SourceChangedError, match="gone"):
        await content(source, entry)


READ_AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from shared.sources import SourceForbiddenError
from shared.sources.folder import FolderSource
os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    source = FolderSource(Path(sys.argv[1]))
    print([item.reason for item in (await source.folder()).skipped])
    try:
        await source.folder("images")
    except SourceForbiddenError as error:
        print(error)
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_this_user_may_not_read_is_told() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own is root's alone
    folder.chmod(0o755)
    (folder / "images").mkdir()
    (folder / "images").chmod(0o700)
    (folder / "b.jpg").touch(0o600)
    try:
        command = [sys.executable, "-c", READ_AS_NOBODY, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        subprocess.run(["rm", "-r", str(folder)], check=True)

    assert done.stdout.splitlines()[0] == "['may not be read']"
    assert "images may not be read by this user" in done.stdout


async def test_a_folder_is_the_same_source_on_every_host(flight: Path) -> None:
    async with open_sources(settings(flight)) as sources:
        source = await sources.at(flight.as_uri())

    assert socket.gethostname() not in (source.system_id, source.uri)
    assert source.uri == flight.as_uri()


@pytest.mark.parametrize("name", ["field #7", "50% ä?", "a b%20c"])
async def test_a_source_is_found_again_by_its_uri(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    async with open_sources(settings(tmp_path)) as sources:
        source = await sources.at((tmp_path / name).as_uri())
        again = await sources.at(source.uri)

    assert again.path == source.path == str(tmp_path / name)


async def test_a_folder_written_as_people_write_it_is_found(tmp_path: Path) -> None:
    (tmp_path / "field #7").mkdir()
    async with open_sources(settings(tmp_path)) as sources:
        source = await sources.at(f"file://{tmp_path}/field #7")

    assert source.path == f"{tmp_path}/field #7"


async def test_a_folder_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to(tmp_path)
    async with open_sources(settings(tmp_path / "mine")) as sources:
        for uri in (tmp_path.as_uri(), (tmp_path / "mine" / "link").as_uri()):
            with pytest.raises(SourceForbiddenError, match="FLIGHTLINE_FOLDERS"):
                await sources.at(uri)


@pytest.mark.parametrize("uri", ["file://data/flights", "file:flights", "ftp://host/x", "s3://", "/data", ""])
async def test_malformed_uris_are_refused_with_the_field(uri: str) -> None:
    async with open_sources(settings()) as sources:
        with pytest.raises(InvalidInputError) as raised:
            await sources.at(uri)

    assert (raised.value.field, raised.value.value) == ("source", uri)
