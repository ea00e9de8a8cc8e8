"""Servers that several test modules share: each starts when the first test asks for it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi
import pytest

from tests.support.dav_servers.fixtures import dav_server, nextcloud
from tests.support.mongo import mongo_server
from tests.support.s3 import S3Server, s3_server
from tests.support.small_disk import CannotMountError, small_disk

__all__ = ["dav_server", "nextcloud"]


def pytest_configure(config: pytest.Config) -> None:
    """Prepare what the commands that tests start inherit."""
    _let_be_interrupted()
    if not any(name.startswith("FLIGHTLINE_TEST_") for name in os.environ):  # nothing outside is asked
        _trust_one_authority(config)


def _let_be_interrupted() -> None:
    """Let SIGINT end the commands, also if a shell started pytest in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _trust_one_authority(config: pytest.Config) -> None:
    """Have HTTP clients read one root certificate instead of all: that takes each of them 40 ms."""
    if "SSL_CERT_FILE" in os.environ:  # the user's, or made by the process whose worker this is
        return
    folder = TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    root = Path(folder.name, "root.pem")
    root.write_text("".join(certifi.contents().partition("-----END CERTIFICATE-----\n")[:2]))
    os.environ["SSL_CERT_FILE"] = str(root)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage: there is none, but looking took a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name content by its length: what it holds, such as the hour, may differ between a run's workers."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a MongoDB-compatible server, without a database's name."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 4 MiB."""
    try:
        with small_disk(tmp_path / "small", 4 << 20) as folder:
            yield folder
    except CannotMountError as error:
        pytest.skip(f"a full disk needs the right to mount a tmpfs: {error}")
