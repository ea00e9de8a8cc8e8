"""Logins, faults, the control interface, and what is known after a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from flightline.nextcloud_simulator import Nextcloud, Rule
from tests.flightline.nextcloud_simulator.conftest import Simulated


def control(simulated: Simulated, method: str, what: str, document: Any = None) -> tuple[int, Any]:
    body = None if document is None else json.dumps(document).encode()
    answer = simulated.asking.ask(method, f"/simulator/{what}", body)
    return answer.status, json.loads(answer.body or b"null")


def test_given_the_control_interface_then_tags_are_made_put_on_and_counted(simulated: Simulated) -> None:
    simulated.running.stored.put("a.jpg", b"one")

    status, made = control(simulated, "POST", "tags", {"name": "c:locked", "is_assignable": False})
    assigned, _ = control(simulated, "POST", "assign", {"path": "/a.jpg", "tags": ["c:locked", "c:new"]})
    simulated.asking.ask("GET", "a.jpg")

    assert (status, assigned) == (201, 204)
    assert simulated.simulator.tags_of("a.jpg") == {"c:locked", "c:new"}
    assert {"id": made["id"], "name": "c:locked", "is_visible": True, "is_assignable": False} in control(
        simulated, "GET", "tags"
    )[1]
    assert control(simulated, "GET", "calls") == (200, {"total": 1, "by_method": {"GET": 1}})


def test_given_documents_that_do_not_fit_then_it_says_so(simulated: Simulated) -> None:
    assert control(simulated, "POST", "tags", {"title": "x"})[0] == 422
    assert control(simulated, "POST", "assign", {"path": "gone.jpg", "tags": ["x"]})[0] == 404
    assert control(simulated, "PUT", "tags")[0] == 404
    assert control(simulated, "PATCH", "switches", {"unknown": 1})[0] == 422


def test_given_a_fault_then_it_strikes_as_often_as_it_says(simulated: Simulated) -> None:
    rule = {"kind": "status", "method": "MOVE", "path": "a\\.jpg$", "status": 423, "retry_after_s": 2}
    status, made = control(simulated, "POST", "faults", rule)
    simulated.asking.put("a.jpg", b"one")

    locked = simulated.asking.move("a.jpg", "b.jpg")
    after = simulated.asking.move("a.jpg", "b.jpg")

    assert (status, locked.status, after.status) == (201, 423, 201)
    assert locked.headers["Retry-After"] == "2"
    assert control(simulated, "DELETE", f"faults/{made['id']}")[0] == 204
    assert control(simulated, "DELETE", f"faults/{made['id']}")[0] == 404


def test_given_a_late_fault_then_the_work_is_done_all_the_same(simulated: Simulated) -> None:
    simulated.simulator.faults.add(Rule(kind="late-status", method="PUT", status=502))

    assert simulated.asking.put("a.jpg", b"one").status == 502
    assert simulated.running.stored.get("a.jpg") == b"one"


def test_given_a_new_password_then_nobody_is_logged_in_any_longer(simulated: Simulated) -> None:
    app_password = control(simulated, "POST", "app-passwords")[1]["password"]
    login = b64encode(f"anna:{app_password}".encode()).decode()
    fine = simulated.asking.ask("GET", "gone", Authorization=f"Basic {login}")
    control(simulated, "PATCH", "switches", {"password": "another"})
    try:
        assert fine.status == 404
        refused = simulated.asking.ask("GET", "gone", Authorization=f"Basic {login}")
        assert refused.status == 401
        assert "realm=" in (refused.headers["WWW-Authenticate"] or "")
        assert simulated.asking.ask("GET", "gone").status == 401
    finally:
        control(
            simulated, "PATCH", "switches", {"password": simulated.running.place.password.get_secret_value()}
        )


def test_given_cookies_then_only_the_first_login_is_slow(simulated: Simulated) -> None:
    simulated.simulator.account.login_s = 0.2
    try:
        first = simulated.asking.ask("GET", "gone")
        cookie = (first.headers["Set-Cookie"] or "").partition(";")[0]
        second = simulated.asking.ask("GET", "gone", Cookie=cookie)
    finally:
        simulated.simulator.account.login_s = 0
    assert "Set-Cookie" not in second.headers


def test_given_a_restart_then_ids_and_tags_are_known(tmp_path: Path) -> None:
    with Nextcloud(tmp_path / "home") as first:
        (first.folder / "a.jpg").write_bytes(b"one")
        first.tag("a.jpg", "ai:cats")
        before = first.tree.existing("a.jpg")

    with Nextcloud(tmp_path / "home") as second:
        assert second.tree.existing("a.jpg") == before
        assert second.tags_of("a.jpg") == {"ai:cats"}


def test_given_the_command_then_it_says_what_to_set_and_ends_when_asked(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("flightline"))
    command = [program, "simulate", "nextcloud", str(tmp_path / "home"), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        facts = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert facts["environment"]["FLIGHTLINE_WEBDAV_URL"] == f"{facts['url']}/remote.php/dav/files/test-user/"
