"""What goes wrong on the way to datalab, and what users read then."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import cast

import pytest

from datalab_client import (
    BusyError,
    Datalab,
    InvalidError,
    NotThereError,
    ServerError,
    StillRunningError,
    UnauthorizedError,
    UnreachableError,
)
from tests.datalab.client.conftest import Place, local_files
from tests.support.processes import free_port


def through(place: Place, **more: float) -> Datalab:
    """Return a client that reaches the API through what is between."""
    place.between.forget()
    return place.client(url=place.between.url, **more)


def test_a_server_that_is_away_is_tried_again_for_a_while() -> None:
    with Datalab(f"http://127.0.0.1:{free_port()}", token="t", patience_s=0.5) as lab:
        began_s = time.monotonic()
        with pytest.raises(UnreachableError, match=r"GET http://127\.0\.0\.1:.*/api/profile/ got no answer"):
            lab.profile()

    assert time.monotonic() - began_s >= 0.1


def test_a_server_that_comes_back_is_asked_again(place: Place) -> None:
    with through(place) as lab:
        place.between.fail("GET /api/profile", cut_after_bytes=0, times=2)
        assert lab.profile()["username"]

    assert len(place.between.asked("profile")) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_too_much_is_asked_again_when_the_server_says(place: Place, status: int) -> None:
    with through(place) as lab:
        place.between.fail("GET /api/profile", status=status, headers={"Retry-After": "1"})
        began_s = time.monotonic()
        assert lab.profile()["username"]

    assert time.monotonic() - began_s >= 1


def test_what_is_too_much_for_longer_than_patience_lasts_is_told_at_once(place: Place) -> None:
    with through(place, patience_s=5) as lab:
        place.between.fail("GET /api/profile", status=429, headers={"Retry-After": "60"})
        with pytest.raises(BusyError, match=r"429 Too Many Requests\. Try again in 60 s\."):
            lab.profile()

    assert len(place.between.asked("profile")) == 1


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"status": 503, "headers": {"Retry-After": "0"}}, BusyError, "503"),
        ({"cut_after_bytes": 0}, UnreachableError, "not known whether it was carried out: look before"),
    ],
)
def test_an_operation_is_asked_for_once_whatever_happens(
    place: Place, how: dict[str, object], error: type[Exception], said: str
) -> None:
    with through(place) as lab:
        session = lab.session("once")
        lab.available()
        place.between.fail("POST ", **how)
        with pytest.raises(error, match=said):
            session.run("Sum", input_files="frame0")

        assert len(place.between.asked(f"{session.id}/operations")) == 1
        made = session.refresh().operations  # the answer was lost, the operation was not
        assert len(made) == (1 if error is UnreachableError else 0)


def test_what_can_be_repeated_without_harm_is(place: Place) -> None:
    with through(place) as lab:
        session = lab.session("twice")
        place.between.fail("PATCH ", cut_after_bytes=0)

        assert len(session.add("frame0", "frame1").input_data) == 2


def test_an_unknown_token_is_told_with_what_to_do(place: Place) -> None:
    with (
        Datalab(place.lab.url, token="nobodys") as lab,
        pytest.raises(
            UnauthorizedError, match=r"Invalid token\. Get another one with Datalab.log_in"
        ) as told,
    ):
        lab.profile()
    assert "nobodys" not in str(told.value)


def test_somebody_elses_session_is_not_there(place: Place, lab: Datalab) -> None:
    theirs = lab.session("theirs")
    with place.client() as other, pytest.raises(NotThereError, match="No DataSession matches"):
        other.session(theirs.id)


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/elsewhere?secret=1", "https://lab.example.org/"])
def test_a_redirect_is_not_followed_with_the_token(place: Place, where: str) -> None:
    with through(place) as lab:
        place.between.fail("GET /api/profile", status=302, headers={"Location": where})
        with pytest.raises(ServerError, match="sends elsewhere, to") as told:
            lab.profile()

    assert where.partition("?")[0] in str(told.value)
    assert "secret" not in str(told.value)


def test_what_is_no_datalab_is_told(place: Place) -> None:
    with through(place) as lab:
        place.between.fail(
            "GET /api/profile", status=200, headers={"Content-Type": "text/html"}, body=b"<html>Log in</html>"
        )
        with pytest.raises(
            ServerError, match="answered with text/html instead of JSON: is it the address of"
        ):
            lab.profile()
        place.between.fail("GET /api/profile", status=500, body=b"<html>Sorry</html>")
        with pytest.raises(ServerError, match="The answer was 500 Internal Server Error"):
            lab.profile()


def test_an_upload_that_breaks_off_is_sent_again(place: Place, tmp_path: Path) -> None:
    (path,) = local_files(tmp_path, 1)
    with through(place) as lab:
        place.between.fail("POST /api/uploads", cut_after_bytes=0)
        place.between.fail("POST /api/uploads", status=503)
        assert lab.upload(path).size_bytes == path.stat().st_size
        assert len(list(lab.uploads())) == 1


def test_passwords_are_not_told_again(place: Place) -> None:
    with pytest.raises(InvalidError, match="password: ") as told:
        Datalab.log_in(place.lab.url, "vera", cast("str", 12345))

    assert "12345" not in str(told.value)


def test_the_token_goes_to_no_other_host(place: Place, lab: Datalab, tmp_path: Path) -> None:
    token = lab._connection._api.headers["authorization"].partition(" ")[2]

    total = lab.session("results elsewhere").run("Sum", input_files="frame0").wait(60)
    total.download(tmp_path, kinds=["fits", "large", "small"])
    total._repr_html_()

    heard = place.between.asked("/api/results/")
    assert len(heard) == 4
    for one in heard:
        assert "authorization" not in one.headers
        assert token not in f"{one.path} {dict(one.headers)}"


def test_secrets_are_neither_shown_nor_logged(
    lab: Datalab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = lab._connection._api.headers["authorization"].partition(" ")[2]
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="httpx"):
        session = lab.session("quiet")
        total = session.run("Sum", input_files="frame0").wait(60)
        total.download(tmp_path)

    logged = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("http"))
    shown = f"{lab!r} {session!r} {total!r} {total.files!r} {session.refresh()._repr_html_()} {logged}"
    assert "/api/results/" in logged
    assert "signature" not in shown
    assert token not in shown
    assert token not in repr(vars(lab)) + repr(vars(lab._connection))


def test_an_operation_that_goes_on_is_told_how_to_find_it_again(lab: Datalab) -> None:
    slow = lab.session("slow").run("Sum", input_files=["frame0", "frame2"], take_s=30.0)
    again = rf"lab\.session\({slow.session_id}\)\.operation\({slow.id}\)\.wait\(\)"

    with pytest.raises(StillRunningError, match=f"After 0.3 s Sum {slow.id} goes on at the server; {again}"):
        slow.wait(0.3)

    slow.cancel()


def test_addresses_and_tokens_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("lab.example.org", "ftp://lab.example.org", "http://", "http://me:secret@lab.example.org"):
        with pytest.raises(InvalidError) as told:
            Datalab(url, token="t")
        assert "secret" not in str(told.value)
    for token in ("two words", "ü", "a\nb", " "):
        with pytest.raises(InvalidError, match="A token is a word") as told:
            Datalab("http://127.0.0.1:9", token=token)
        assert token not in str(told.value).replace("A token is a word", "") or token == " "
    monkeypatch.delenv("DATALAB_TOKEN", raising=False)
    with pytest.raises(InvalidError, match="Give a token, or set DATALAB_TOKEN"):
        Datalab("http://127.0.0.1:9")


def test_the_environments_token_is_for_the_environments_datalab(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = place.lab.user("pola").headers["Authorization"].partition(" ")[2]
    monkeypatch.setenv("DATALAB_URL", f"{place.lab.url}/")
    monkeypatch.setenv("DATALAB_TOKEN", token)

    with Datalab() as lab:
        assert lab.profile()["username"] == "pola"
    with pytest.raises(InvalidError, match="DATALAB_TOKEN is for the datalab of DATALAB_URL"):
        Datalab("http://127.0.0.1:9")
