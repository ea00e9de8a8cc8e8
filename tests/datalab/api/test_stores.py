"""The API on a MongoDB-compatible store and an S3 bucket."""

from __future__ import annotations

from pathlib import Path

from shared.settings import PlatformSettings
from tests.datalab.api.calling import SESSIONS, asked, made, operations, upload
from tests.support.lab import running_lab
from tests.support.mongo import new_database
from tests.support.s3 import S3Server


def test_sessions_and_uploads_on_servers(mongo_url: str, s3: S3Server, tmp_path: Path) -> None:
    platform = PlatformSettings(
        home=tmp_path,
        state=new_database(mongo_url),
        objects=f"s3://{s3.new_bucket()}/lab",
        s3_endpoint=s3.endpoint_url,
        s3_region="us-east-1",
        s3_access_key="test",
        s3_secret_key="test",
    )
    with running_lab(tmp_path / "home", platform=platform) as lab:
        me, other = lab.user(), lab.user()
        numbers = [made(me, f"Name {number}", [number])["id"] for number in range(3)]
        theirs = made(other)["id"]
        operation = asked(me, numbers[0])
        page = me.get(SESSIONS, params={"limit": 2}).json()
        rest = me.get(page["next"]).json()
        early = me.get(SESSIONS, params={"created_before": "2000-01-01", "name_exact": "Name 1"}).json()
        named = me.get(SESSIONS, params={"name": "NAME 1", "modified_after": "2000-01-01"}).json()
        again = upload(me)
        assert me.delete(f"{SESSIONS}{numbers[1]}").status_code == 204

        assert [one["id"] for one in page["results"] + rest["results"]] == [
            numbers[0],
            numbers[2],
            numbers[1],
        ]
        assert page["results"][0]["operations"] == [operation]
        assert (early["count"], named["count"], page["count"]) == (0, 1, 3)
        assert again.status_code == 200
        assert me.get(SESSIONS).json()["count"] == 2
        assert me.get(f"{SESSIONS}{theirs}").status_code == 404
        assert me.post(f"{operations(numbers[0])}bulk_delete", json={"ids": [operation["id"]]}).json() == {
            "deleted": 1
        }
