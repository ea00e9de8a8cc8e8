"""What notebooks and terminals show."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datalab_client import Datalab
from tests.datalab.client.conftest import Place, local_files


def test_a_session_is_shown_as_a_table_with_pictures_in_it(lab: Datalab) -> None:
    session = lab.session("<b>night</b>").add("star0")
    session.run("Median", input_files=["star0", "star1"]).wait(60)

    shown = session.refresh()._repr_html_()

    assert "&lt;b&gt;night&lt;/b&gt;" in shown
    assert "<td>Median</td><td>COMPLETED</td><td>100%</td>" in shown
    assert re.search(r'src="data:image/jpeg;base64,/9j/[^"]+"', shown)
    assert "http" not in shown


def test_a_picture_that_does_not_come_is_left_out(lab: Datalab, place: Place) -> None:
    median = lab.session("night").run("Median", input_files=["star0", "star1"]).wait(60)
    place.between.fail("/api/results/", status=500)

    assert "<img" not in median._repr_html_()
    assert "<img" in median._repr_html_()
    assert repr(median) == f"<Median {median.id}, COMPLETED 100%>"


def test_an_operation_that_there_is_is_described(lab: Datalab) -> None:
    described = lab.available()["Median"]

    assert repr(described) == "<Median: input_files>"
    assert "<code>input_files</code></td><td>fits, required, minimum 2, maximum 999</td>" in (
        described._repr_html_()
    )


def test_bars_show_uploads_waiting_and_downloads(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = local_files(tmp_path, 1)
    with place.client(progress=True) as lab:
        total = lab.session("bars").run("Sum", input_files=path, take_s=0.3)
        total.wait(60).download(tmp_path)

    shown = capsys.readouterr().err
    size_kib = path.stat().st_size / 1024
    assert re.search(rf"local-0.fits: 100%.*{size_kib:.1f}k/{size_kib:.1f}k", shown)
    assert re.search(rf"Sum {total.id}: 100%.*COMPLETED", shown)
    assert re.search(rf"sum-{total.id}.fits: 100%", shown)


def test_who_stops_waiting_is_told_how_to_go_on(lab: Datalab, tmp_path: Path) -> None:
    slow = lab.session("interrupted").run("Sum", input_files=["frame1"], take_s=60.0)
    token = lab._connection._api.headers["authorization"].partition(" ")[2]
    script = (
        "import datalab_client\n"
        "lab = datalab_client.Datalab()\n"
        f"lab.session({slow.session_id}).operation({slow.id}).wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={"DATALAB_URL": lab.url, "DATALAB_TOKEN": token},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        said = ""
        while f"Sum {slow.id}:" not in said:
            said += (read := process.stderr.read(1))
            assert read, said
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=60)[1]
    is_left_alone = not slow.refresh().has_ended
    slow.cancel()

    again = f"lab.session({slow.session_id}).operation({slow.id}).wait() waits for it again."
    assert f"Sum {slow.id} goes on at the server; {again}" in said
    assert "KeyboardInterrupt" in said
    assert token not in said
    assert is_left_alone
