"""The proxy itself: what it does to requests, seen from both sides."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.dav_proxy import (
    GARBAGE,
    HTML,
    Cut,
    DavProxy,
    Drop,
    Duplicate,
    Kill,
    Moment,
    Respond,
    Rewrite,
    Rule,
    dav_proxy,
    weak_etags,
    wrong_length,
)
from tests.support.dav_servers import RunningDav, running_dav
from tests.support.dav_servers.asking import Asking

PUT_CHILD = """
import http.client, sys
port, path, login = int(sys.argv[1]), sys.argv[2], sys.argv[3]
connection = http.client.HTTPConnection("127.0.0.1", port)
connection.request("PUT", path, b"0123456789" * 1000, {"Authorization": login})
print(connection.getresponse().status)
"""
ENDED = (http.client.HTTPException, ConnectionError)


@dataclass(frozen=True)
class Proxied:
    server: RunningDav
    proxy: DavProxy
    asking: Asking


@pytest.fixture(scope="module")
def lighttpd() -> Iterator[RunningDav]:
    with running_dav("lighttpd") as server:
        yield server


@pytest.fixture
def proxied(lighttpd: RunningDav) -> Iterator[Proxied]:
    for name in lighttpd.stored.names():
        lighttpd.stored.remove(name)
    with dav_proxy(lighttpd.address) as proxy:
        yield Proxied(lighttpd, proxy, Asking(lighttpd.at(proxy.url)))


def test_given_no_rules_then_requests_go_through_and_are_noted(proxied: Proxied) -> None:
    body = bytes(3 << 20)

    assert proxied.asking.put("a b.jpg", body).status == 201
    assert proxied.asking.ask("GET", "a b.jpg").body == body
    assert proxied.asking.move("a b.jpg", "c.jpg", Overwrite="F").status == 201
    assert proxied.asking.etag("c.jpg") != ""
    assert [(met.number, met.method, met.status) for met in proxied.proxy.requests] == [
        (1, "PUT", 201),
        (2, "GET", 200),
        (3, "MOVE", 201),
        (4, "HEAD", 200),
    ]
    assert proxied.proxy.requests[2].path == "/dav/a b.jpg"


def test_given_a_rule_then_it_strikes_the_request_it_means(proxied: Proxied) -> None:
    proxied.proxy.add(Rule(Respond(423, headers={"Retry-After": "3"}), method="PUT", path=r"\.jpg$", nth=2))

    answers = [proxied.asking.put(name, b"one") for name in ("a.jpg", "b.txt", "b.jpg", "c.jpg")]

    assert [answer.status for answer in answers] == [201, 201, 423, 201]
    assert answers[2].headers["Retry-After"] == "3"
    assert proxied.server.stored.names() == {"a.jpg", "b.txt", "c.jpg"}


@pytest.mark.parametrize("fault", [Drop("answer"), Respond(502, after_work=True)])
def test_given_a_lost_answer_then_the_work_is_done(proxied: Proxied, fault: Drop | Respond) -> None:
    proxied.proxy.add(Rule(fault, method="PUT"))

    if isinstance(fault, Respond):
        assert proxied.asking.put("a.jpg", b"one").status == 502
    else:
        with pytest.raises(ENDED):
            proxied.asking.put("a.jpg", b"one")

    assert proxied.server.stored.get("a.jpg") == b"one"


@pytest.mark.parametrize("fault", [Drop("request"), Cut("request", 2)])
def test_given_a_request_that_does_not_come_whole_then_nothing_is_done(
    proxied: Proxied, fault: Drop | Cut
) -> None:
    proxied.proxy.add(Rule(fault, method="PUT"))

    with pytest.raises(ENDED):
        proxied.asking.put("a.jpg", b"one")

    assert proxied.server.stored.names() == set()


@pytest.mark.parametrize("fault", [Cut("answer", 2), wrong_length(5)])
def test_given_a_body_that_does_not_come_whole_then_the_client_can_tell(
    proxied: Proxied, fault: Cut | Rewrite
) -> None:
    proxied.server.stored.put("a.jpg", b"one")
    proxied.proxy.add(Rule(fault, method="GET"))

    with pytest.raises(ENDED):
        proxied.asking.ask("GET", "a.jpg")


def test_given_an_answer_that_says_less_than_it_is_then_the_client_gets_less(proxied: Proxied) -> None:
    proxied.server.stored.put("a.jpg", b"four")
    proxied.proxy.add(Rule(wrong_length(-1), method="GET"))

    assert proxied.asking.ask("GET", "a.jpg").body == b"fou"


def test_given_pages_of_a_portal_then_they_come_instead(proxied: Proxied) -> None:
    proxied.proxy.add(Rule(HTML), Rule(GARBAGE, nth=2))

    assert proxied.asking.ask("PROPFIND", Depth="1").text.startswith("<!DOCTYPE html>")
    assert proxied.asking.ask("PROPFIND", Depth="1").status == 207
    assert proxied.asking.ask("PROPFIND", Depth="1").text.startswith("<?xml")


def test_given_weak_etags_then_headers_and_listings_have_them(proxied: Proxied) -> None:
    proxied.server.stored.put("a.jpg", b"one")
    proxied.proxy.add(Rule(Rewrite(weak_etags), nth=None))

    assert proxied.asking.etag("a.jpg").startswith('W/"')
    assert "<D:getetag>W/" in proxied.asking.ask("PROPFIND", "a.jpg", Depth="0").text


def test_given_a_duplicate_then_the_server_gets_the_request_twice(proxied: Proxied) -> None:
    proxied.proxy.add(Rule(Duplicate(), method="PUT"))

    assert proxied.asking.put("a.jpg", b"one", If_None_Match="*").status == 412
    assert proxied.server.stored.get("a.jpg") == b"one"


@pytest.mark.parametrize(("when", "stored"), [("before", set()), ("midway", set()), ("after", {"a.jpg"})])
def test_given_a_kill_then_the_client_is_dead_and_the_server_has_what_it_had(
    proxied: Proxied, when: Moment, stored: set[str]
) -> None:
    port, login = proxied.proxy.url.rpartition(":")[2], proxied.server.place.authorization
    child = subprocess.Popen([sys.executable, "-c", PUT_CHILD, port, "/dav/a.jpg", login])
    proxied.proxy.victim = child.kill
    proxied.proxy.add(Rule(Kill(when), method="PUT"))

    assert child.wait(20) == -9
    assert proxied.proxy.killed.wait(5)
    time.sleep(0.1)
    assert proxied.server.stored.names() == stored
