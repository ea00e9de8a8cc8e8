"""Files that users bring: FITS and TIFF only, within a quota, nobody else's."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from datalab.collections import COUNTERS, UPLOADS
from datalab.domain.uploads import Upload
from datalab.numbers import Counter, Numbers
from datalab.uploads import PREFIX, Uploads
from shared.objects.port import ObjectStore
from shared.state import Collection
from tests.datalab.api.calling import fits_bytes, upload
from tests.support.lab import RunningLab, running_lab

TIFF = b"II*\x00" + bytes(100)


def test_a_fits_file_is_stored_under_its_name(me: httpx.Client) -> None:
    answer = upload(me, "../../etc/frame 1.fits")

    assert answer.status_code == 201
    told = answer.json()
    assert (told["basename"], told["source"], told["size_bytes"]) == ("frame 1.fits", "upload", 5760)
    assert me.get(f"/api/uploads/{told['id']}/").json() == told
    listed = me.get("/api/uploads/").json()
    assert (listed["results"], listed["used_bytes"], listed["count"]) == ([told], 5760, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tif", TIFF),
        ("a.tiff", b"MM\x00*" + bytes(8)),
        ("a.fits.gz", gzip.compress(fits_bytes())),
        ("no-ending", fits_bytes()),
        ("名前.fits", fits_bytes()),
    ],
)
def test_other_files_that_can_be_looked_at(me: httpx.Client, name: str, content: bytes) -> None:
    assert upload(me, name, content).json()["basename"] == name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.fits", b"%PDF-1.7"),
        ("a.fits", b""),
        ("a.fits.gz", gzip.compress(b"something else" * 100)),
        ("a.fits.gz", b"\x1f\x8b" + bytes(50)),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(100)),
    ],
)
def test_anything_else_is_refused(me: httpx.Client, name: str, content: bytes) -> None:
    answer = upload(me, name, content)

    assert answer.status_code == 400
    assert answer.json()["file"] == [f"{name} is neither a FITS file nor a TIFF."]
    assert me.get("/api/uploads/").json()["count"] == 0


@pytest.mark.parametrize("name", ["..", "a\x01.fits", "x" * 201, "dir/"])
def test_a_name_that_cannot_be_one_is_refused(me: httpx.Client, name: str) -> None:
    form = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    answer = me.post("/api/uploads/", content=form + fits_bytes() + b"\r\n--x--\r\n", headers=kind)

    assert answer.status_code == 400
    assert answer.json()["file"]


def test_the_same_file_again_is_no_other_and_another_needs_another_name(me: httpx.Client) -> None:
    first = upload(me, "a.fits")

    again, other = upload(me, "a.fits"), upload(me, "a.fits", fits_bytes(1))

    assert (again.status_code, again.json()) == (200, first.json())
    assert other.status_code == 409
    assert "another name" in other.json()["file"][0]


def test_two_users_may_have_files_of_one_name(me: httpx.Client, other: httpx.Client) -> None:
    mine, theirs = upload(me).json()["id"], upload(other, content=fits_bytes(1)).json()["id"]

    assert me.get(f"/api/uploads/{theirs}/").status_code == 404
    assert me.delete(f"/api/uploads/{theirs}/").status_code == 404
    assert [one["id"] for one in me.get("/api/uploads/").json()["results"]] == [mine]


def test_a_deleted_file_gives_its_room_and_its_name_back(me: httpx.Client) -> None:
    number = upload(me).json()["id"]

    assert me.delete(f"/api/uploads/{number}").status_code == 204
    assert me.delete(f"/api/uploads/{number}").status_code == 404
    assert me.get("/api/uploads/").json()["used_bytes"] == 0
    assert upload(me, content=fits_bytes(1)).status_code == 201


FORMS = {
    "no form": ({"Content-Type": "application/json"}, b"{}", 415),
    "no boundary": ({"Content-Type": "multipart/form-data"}, b"--x--", 400),
    "garbage": ({"Content-Type": "multipart/form-data; boundary=x"}, b"garbage", 400),
    "nothing": ({"Content-Type": "multipart/form-data; boundary=x"}, b"", 400),
    "no file": (
        {"Content-Type": "multipart/form-data; boundary=x"},
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        400,
    ),
    "cut off": (
        {"Content-Type": "multipart/form-data; boundary=x"},
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.fits"\r\n\r\n' + fits_bytes(),
        400,
    ),
}


@pytest.mark.parametrize(("headers", "content", "status"), FORMS.values(), ids=FORMS.keys())
def test_a_bad_form_is_told(me: httpx.Client, headers: dict[str, str], content: bytes, status: int) -> None:
    answer = me.post("/api/uploads/", content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert me.get("/api/uploads/").json()["count"] == 0


def test_two_files_in_one_form_are_refused(me: httpx.Client) -> None:
    files = [("file", ("a.fits", fits_bytes())), ("file", ("b.fits", fits_bytes()))]

    answer = me.post("/api/uploads/", files=files)

    assert answer.status_code == 400
    assert me.get("/api/uploads/").json()["count"] == 0


def test_what_is_too_large_or_over_the_quota_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    with running_lab(tmp_path, upload_quota_bytes=12_000, max_upload_bytes=6_000) as small:
        me = small.user()

        large = upload(me, "large.fits", fits_bytes() + bytes(5000))
        taken = [upload(me, f"{number}.fits", fits_bytes(number)).status_code for number in range(3)]
        left = small.do(_keys(small.platform.objects))

    assert large.status_code == 413
    assert taken == [201, 201, 413]
    assert len(left) == 2


async def test_files_without_a_document_are_tidied_up_when_they_are_old(
    lab: RunningLab, me: httpx.Client
) -> None:
    kept = upload(me).json()["id"]
    store, objects = lab.platform.store, lab.platform.objects
    numbers = Numbers(Collection(store, COUNTERS, Counter))
    uploads = Uploads(Collection(store, UPLOADS, Upload), objects, numbers, 1, 1)
    lab.do(_put(objects, f"{PREFIX}/orphan.fits"))
    now = datetime.now(UTC)

    lab.do(uploads.tidy(now - timedelta(hours=1)))
    assert f"{PREFIX}/orphan.fits" in lab.do(_keys(objects))
    lab.do(uploads.tidy(now + timedelta(hours=1)))

    assert f"{PREFIX}/orphan.fits" not in lab.do(_keys(objects))
    key = lab.do(uploads.documents.load(f"u{kept}")).body.key
    assert key in lab.do(_keys(objects))


async def _keys(objects: ObjectStore) -> set[str]:
    return {stored.key async for stored in objects.list(f"{PREFIX}/")}


async def _put(objects: ObjectStore, key: str) -> None:
    await objects.put(key, b"x")
