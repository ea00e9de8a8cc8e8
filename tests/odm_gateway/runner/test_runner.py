"""The runner as a container's command, with a stand-in for ODM as its child."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.odm_gateway.runner.workspaces import IMAGES, Running, is_running
from tests.support.scripted_odm import STAGES
from tests.support.until import wait_until

NAMES = [stage for stage, _ in STAGES]
USUAL = [
    "all.zip", "cameras.json", "images.json", "log.json", "odm_georeferencing/odm_georeferenced_model.laz",
    "odm_orthophoto/odm_orthophoto.tif", "odm_report/report.pdf", "task_output.txt",
]  # fmt: skip


def old_python() -> str | None:
    """Return a Python 3.8, as old images of ODM have it."""
    found = [shutil.which("python3.8"), *map(str, Path.home().glob(".pyenv/versions/3.8.*/bin/python"))]
    for python in filter(None, found):
        if subprocess.run([python, "-V"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def test_a_good_run_leaves_an_archive_a_list_a_console_and_a_status(odm: Running) -> None:
    code, said = odm.run("finish")
    assert (code, odm.assets()) == (0, USUAL)
    with zipfile.ZipFile(odm.project / "all.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == USUAL[1:]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    status = odm.status()
    assert status.pop("peak_memory_bytes") > 0
    assert status == {"percent": 97, "stage": "archive", "exit_code": 0, "message": None, "finished": True}
    assert odm.lines() == said.splitlines()
    assert any(f"Found {IMAGES} usable images" in line for line in odm.lines())


def test_python_3_8_is_enough(odm: Running) -> None:
    if (python := old_python()) is None:
        pytest.skip("there is no Python 3.8 on this machine")
    assert Running(odm.folder, odm.runner, python).run("finish")[0] == 0


def test_no_module_beyond_pythons_own_is_needed(odm: Running) -> None:
    command = [sys.executable, "-I", "-S", str(odm.runner), str(odm.folder), "--", sys.executable, "-c", ""]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("code", [1, 3, 42, 132, 134, 137, 139])
def test_odms_exit_code_is_passed_on_and_noted(odm: Running, code: int) -> None:
    ended, _ = odm.run(f"exit:{code}")
    status = odm.status()
    assert (ended, status["exit_code"], status["finished"]) == (code, code, True)
    assert not (odm.project / "all.zip").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, 137), (signal.SIGSEGV, 139)])
def test_a_signal_becomes_the_exit_code_that_a_shell_gives(odm: Running, number: int, code: int) -> None:
    assert odm.run(f"signal:{number}")[0] == code


def test_a_command_that_cannot_be_started_is_told_in_nodeodms_words(odm: Running) -> None:
    code, said = odm.run("", command=["/nowhere/run.py"])
    assert (code, odm.status()["exit_code"]) == (127, 127)
    assert str(odm.status()["message"]).startswith("Could not start process (")
    assert odm.status()["message"] in said


def test_a_workspace_without_a_job_is_refused(odm: Running) -> None:
    (odm.folder / "job.json").write_text("{")
    assert odm.run("finish")[0] == 2
    assert odm.status()["message"].startswith("The job cannot be read")


@pytest.mark.parametrize("behaviour", ["hang", "stubborn"])
def test_a_stop_ends_odm_and_programs_in_sessions_of_their_own(odm: Running, behaviour: str) -> None:
    with odm.started(behaviour, "--grace-seconds", "1") as process:
        wait_until(odm.programs)
        process.terminate()
        assert process.wait(timeout=30) == 143
    assert [is_running(program) for program in odm.programs()] == [False]
    assert odm.status()["finished"] is False
    has_said_goodbye = any("exit gracefully" in line for line in odm.lines())
    assert has_said_goodbye == (behaviour == "hang")


def test_what_odm_leaves_behind_neither_delays_the_end_nor_outlives_it(odm: Running) -> None:
    assert odm.run("daemon")[0] == 0
    assert [is_running(program) for program in odm.programs()] == [False]


def test_a_second_start_goes_on_where_the_first_one_failed(odm: Running) -> None:
    assert odm.run("once:137")[0] == 137
    assert odm.run("once:137")[0] == 0
    assert odm.worked() == NAMES
    assert sum("Running dataset stage" in line for line in odm.lines()) == 2


def test_a_finished_workspace_is_not_worked_on_again(odm: Running) -> None:
    odm.run("finish")
    lines = odm.lines()
    assert odm.run("exit:1")[0] == 0
    assert odm.lines() == lines


@pytest.mark.parametrize("moment", range(8))
def test_a_killed_runner_is_followed_by_one_that_finishes(odm: Running, moment: int) -> None:
    odm.kill_at("slow", lambda: len(odm.worked()) >= moment * 13 // 8)
    assert odm.run("slow")[0] == 0
    assert odm.assets() == USUAL
    assert odm.worked() == NAMES or odm.worked().count(odm.worked()[-1]) == 1
    assert zipfile.ZipFile(odm.project / "all.zip").testzip() is None


def test_what_a_killed_runner_left_running_is_ended_first(odm: Running) -> None:
    odm.kill_at("hang", odm.programs)
    assert [is_running(program) for program in odm.programs()] == [True]
    odm.run("finish")
    assert [is_running(program) for program in odm.programs()] == [False]


def test_a_console_that_was_cut_off_within_a_line_goes_on_in_a_new_one(odm: Running) -> None:
    (odm.folder / "console.log").write_text("first\nhalf a li")
    odm.run("finish")
    assert odm.lines()[:2] == ["first", "half a li"]
    assert "Initializing" in odm.lines()[2]


def test_noise_is_kept_in_bounds_and_tokens_are_hidden(odm: Running) -> None:
    assert odm.run("noise")[0] == 0
    lines = odm.lines()
    assert {"bar 100%", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} broken"} <= set(lines)
    assert max(map(len, lines)) <= 1 << 17
    assert "sm_cluster: http://node:3000/?token=***&x=1" in lines
    assert not any("s3cret" in line for line in lines)


def test_memory_is_measured_at_its_peak(odm: Running) -> None:
    odm.run("large")
    assert odm.status()["peak_memory_bytes"] > 150 << 20


def test_progress_comes_by_datagrams(odm: Running) -> None:
    odm.ask(split=2)  # then, stage lines do not count
    with odm.started("hang", "--progress-file", str(odm.folder / "argo")):
        wait_until(lambda: odm.status()["percent"] == pytest.approx(4.5))
        wait_until(lambda: (odm.folder / "argo").read_text() == "4/100")


def test_datagrams_of_other_runs_do_not_count(odm: Running) -> None:
    odm.ask(split=2)
    with odm.started("hang,mute"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        wait_until(lambda: odm.programs() and odm.status().get("stage") == "opensfm")
        for text in (f"PGUP/{os.getpid()}/project/77", "PGUP/1/project/77", "nonsense", "PGUP/x/y"):
            other.sendto(text.encode(), ("127.0.0.1", odm.port))
        other.sendto(b"\xff" * 60_000, ("127.0.0.1", odm.port))
        odm_s = odm.programs()[0]
        other.sendto(f"PGUP/{odm_s}/submodel_0000/88".encode(), ("127.0.0.1", odm.port))
        other.sendto(f"PGUP/{odm_s}/project/10".encode(), ("127.0.0.1", odm.port))
        wait_until(lambda: odm.status()["percent"] > 0)
        assert odm.status()["percent"] == 9


def test_where_the_port_is_taken_the_console_tells_of_progress(odm: Running) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", odm.port))
        with odm.started("hang"):
            wait_until(lambda: odm.status()["percent"] == pytest.approx(4.5))
            assert odm.status()["stage"] == "opensfm"


def test_a_full_disk_is_told_as_such(full_disk: Path, packed_runner: Path) -> None:
    odm = Running(full_disk / "workspace", packed_runner)
    odm.ask()
    script = f"import pathlib, sys; f = pathlib.Path({str(full_disk)!r}, 'fill').open('wb', buffering=0)\n"
    script += "try:\n while f.write(b'x' * 65536): pass\nexcept OSError: pass\nprint('y' * 100000)"
    code, said = odm.run("", command=[sys.executable, "-c", script])
    assert (code, "The disk of the workspace is full." in said) == (74, True)


def test_the_job_reaches_odm_word_by_word(odm: Running) -> None:
    odm.ask(dsm=True, dtm=False, boundary='{"a": "$(id); `x` \'"}', orthophoto_resolution=2.5)
    shower = "import json, sys; print(json.dumps(sys.argv[1:]))"
    _, said = odm.run("", command=[sys.executable, "-c", shower])
    assert json.loads(said) == [
        "--dsm", '--boundary={"a": "$(id); `x` \'"}', "--orthophoto-resolution=2.5", "--project-path",
        str(odm.folder), "project",
    ]  # fmt: skip
