"""That each server has the habits it is there for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.dav_servers import RunningDav, running_dav
from tests.support.dav_servers.asking import Asking

ALL = ("nextcloud", "wsgidav", "lighttpd", "apache", "nginx")
HONEST = ("nextcloud", "wsgidav", "lighttpd", "apache")


@dataclass(frozen=True)
class Server:
    running: RunningDav
    asking: Asking


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running_dav(request.param) as running:
        yield Server(running, Asking(running.place))


on = pytest.mark.parametrize
everywhere = on("server", ALL, indirect=True)
honestly = on("server", HONEST, indirect=True)


@everywhere
def test_given_a_file_when_it_is_put_then_it_is_stored_below_the_login(server: Server) -> None:
    refused = server.asking.put("a.jpg", b"one", Authorization="Basic Zm86YmFy")

    assert refused.status == 401
    assert server.asking.put("a.jpg", b"one").status == 201
    assert server.running.stored.get("a.jpg") == b"one"
    assert server.asking.ask("GET", "a.jpg").body == b"one"


@honestly
def test_given_a_file_when_conditions_do_not_hold_then_it_stays(server: Server) -> None:
    server.running.stored.put("a.jpg", b"one")

    overwritten = server.asking.put("a.jpg", b"two", If_None_Match="*")
    deleted = server.asking.ask("DELETE", "a.jpg", If_Match='"other"')
    moved = server.asking.move("a.jpg", "b.jpg", If_Match='"other"')

    assert (overwritten.status, deleted.status, moved.status) == (412, 412, 412)
    assert server.running.stored.names() == {"a.jpg"}


@on("server", ["nginx"], indirect=True)
def test_given_nginx_when_conditions_do_not_hold_then_the_file_is_lost(server: Server) -> None:
    server.running.stored.put("a.jpg", b"one")

    assert server.asking.put("a.jpg", b"two", If_None_Match="*").status == 204
    assert server.running.stored.get("a.jpg") == b"two"
    assert server.asking.ask("DELETE", "a.jpg", If_Match='"other"').status == 204
    assert server.running.stored.names() == set()


@everywhere
def test_given_a_target_that_exists_when_a_move_may_not_overwrite_then_it_is_412(server: Server) -> None:
    server.running.stored.put("a.jpg", b"one")
    server.running.stored.put("b.jpg", b"two")

    assert server.asking.move("a.jpg", "b.jpg", Overwrite="F").status == 412
    assert server.running.stored.get("b.jpg") == b"two"


@on(
    ("server", "status"),
    [("nextcloud", 409), ("wsgidav", 409), ("lighttpd", 409), ("apache", 500)],
    indirect=["server"],
)
def test_given_no_target_folder_when_a_file_is_moved_then_it_stays(server: Server, status: int) -> None:
    server.running.stored.put("a.jpg", b"one")

    assert server.asking.move("a.jpg", "nowhere/a.jpg").status == status
    assert server.running.stored.names() == {"a.jpg"}


@on(
    ("server", "left"),
    [
        ("nextcloud", b"old"),
        ("lighttpd", b"old"),
        ("apache", b"old"),
        ("nginx", b"old"),
        ("wsgidav", b"half"),
    ],
    indirect=["server"],
)
def test_given_an_upload_that_ends_early_then_only_wsgidav_has_lost_the_old_file(
    server: Server, left: bytes
) -> None:
    server.running.stored.put("a.jpg", b"old")

    server.asking.cut_put("a.jpg", b"half", 1000)

    give_up = time.monotonic() + 10
    while server.running.stored.get("a.jpg") != left and time.monotonic() < give_up:
        time.sleep(0.02)
    time.sleep(0.1)
    assert server.running.stored.get("a.jpg") == left


@on("server", ["apache"], indirect=True)
def test_given_apache_when_a_file_was_just_written_then_its_etag_is_weak_for_a_while(server: Server) -> None:
    server.asking.put("a.jpg", b"one")
    early = server.asking.etag("a.jpg")

    give_up = time.monotonic() + 10
    while server.asking.etag("a.jpg").startswith("W/") and time.monotonic() < give_up:
        time.sleep(0.1)

    assert early.startswith("W/")
    assert server.asking.ask("DELETE", "a.jpg", If_Match=early).status == 412
    assert server.asking.ask("DELETE", "a.jpg", If_Match=server.asking.etag("a.jpg")).status == 204
