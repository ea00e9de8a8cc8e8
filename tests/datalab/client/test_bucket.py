"""Results that lie in a bucket: another host, which never sees the token."""

from __future__ import annotations

from pathlib import Path

import pytest

from datalab_client import Datalab
from shared.settings import PlatformSettings
from tests.datalab.client.between import between
from tests.datalab.client.conftest import KNOWN, local_files
from tests.support.lab import running_lab
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@pytest.mark.long
def test_results_in_a_bucket_are_brought_from_there_without_the_token(s3: S3Server, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with between() as store:
        store.target = s3.endpoint_url
        on = PlatformSettings(
            home=home,
            objects=f"s3://{s3.new_bucket()}",
            s3_endpoint=store.url,
            s3_region=REGION,
            s3_access_key=ACCESS_KEY,
            s3_secret_key=SECRET_KEY,
        )
        with running_lab(home, known=KNOWN, platform=on, archive_url="http://127.0.0.1:9/", workers=1) as lab:
            token = lab.user().headers["Authorization"].partition(" ")[2]
            with Datalab(lab.url, token=token, progress=False) as mine:
                median = mine.session("s3").run("Median", input_files=local_files(tmp_path)).wait(90)
                store.forget()
                store.fail("GET ", cut_after_bytes=3000)
                (path,) = median.download(tmp_path / "results")
                shown = median._repr_html_()

    assert path.stat().st_size == median.output["output_files"][0]["size_bytes"]
    assert "data:image/jpeg" in shown
    first, second, picture = store.heard
    assert "X-Amz-Signature" in first.path
    assert second.headers["range"] == "bytes=3000-"
    assert ".jpg?" in picture.path
    for one in store.heard:
        assert "authorization" not in one.headers
        assert token not in f"{one.path} {dict(one.headers)}"
