"""One image over HTTP: answered at once, or by a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from scaler.config import Settings
from scaler.domain.jobs import JobState
from scaler.main import create_app
from shared.events import ImageScaled
from shared.platform import Platform
from shared.service.serving import serving
from tests.scaler.jobs.conftest import Scaler, opened
from tests.scaler.pictures import exif_of, jpeg, size_of
from tests.support.listening import heard
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server
from tests.support.web_index import web_server

LATER = {"Prefer": "respond-async"}


@asynccontextmanager
async def running(on: Platform, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    chosen = Settings(port=0, **settings)
    async with (
        serving(create_app(chosen, on), chosen) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        yield client


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with running(platform) as client:
        yield client


async def ended(http: httpx.AsyncClient, accepted: httpx.Response) -> dict[str, Any]:
    """Return the job of an answer once it is over."""
    assert accepted.status_code == 202, accepted.text
    async with asyncio.timeout(30):
        while True:
            job = (await http.get(accepted.headers["location"])).json()
            if job["state"] not in ("scaling", "paused"):
                return dict(job)
            await asyncio.sleep(0.02)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_an_image_is_answered_scaled(http: httpx.AsyncClient) -> None:
    raw = await http.post("/api/scale", content=jpeg(1), headers={"Content-Type": "image/jpeg"})
    asked: dict[str, Any] = {"factor": 3, "interpolation": "cubic", "quality": 70}
    form = await http.post("/api/scale", files={"image": ("ä 1.jpg", jpeg(1), "image/jpeg")}, data=asked)
    query = await http.post(
        "/api/scale", params=asked, content=jpeg(1), headers={"Content-Type": "application/octet-stream"}
    )

    assert [answer.status_code for answer in (raw, form, query)] == [200, 200, 200]
    assert [size_of(answer.content) for answer in (raw, form, query)] == [(96, 64), (144, 96), (144, 96)]
    assert (raw.headers["content-type"], exif_of(raw.content)) == ("image/jpeg", exif_of(jpeg(1)))
    assert raw.headers["etag"] == f'"{sha256(raw.content).hexdigest()}"'
    assert form.content == query.content
    assert "%C3%A4%201.jpg" in form.headers["content-disposition"]


async def test_an_image_that_cannot_be_scaled_is_422_with_the_reason(http: httpx.AsyncClient) -> None:
    contents = (b"", b"hello", jpeg(1)[:-20], b"GIF89a....")
    answers = [
        await http.post("/api/scale", content=content, headers={"Content-Type": "image/jpeg"})
        for content in contents
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert [code(answer) for answer in answers] == ["zero_bytes", "not_an_image", "truncated", "unsupported"]
    assert all(answer.json()["error"]["message"] for answer in answers)


async def test_what_cannot_be_asked_names_the_field(http: httpx.AsyncClient) -> None:
    raw: dict[str, Any] = {"content": jpeg(1), "headers": {"Content-Type": "image/jpeg"}}
    wrong: list[tuple[str, Any]] = [
        ("factor", 0.05), ("factor", 9), ("factor", "nan"), ("interpolation", "x"), ("quality", 0),
    ]  # fmt: skip
    for field, value in wrong:
        answers = [
            await http.post("/api/scale", params={field: value}, **raw),
            await http.post("/api/scale", files={"image": ("1.jpg", jpeg(1))}, data={field: value}),
            await http.post("/api/scale", json={"source": "s3://b/1.jpg", field: value}),
        ]
        assert [answer.status_code for answer in answers] == [422, 422, 422]
        for answer in answers:
            (fault,) = answer.json()["error"]["faults"]
            assert fault["field"].endswith(field)


async def test_bodies_of_other_kinds_and_sizes_are_refused(platform: Platform) -> None:
    async with running(platform, image_bytes_at_most=1000) as http:
        image = {"Content-Type": "image/jpeg"}

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"x" * 1000

        answers = [
            await http.post("/api/scale", content=b"<a/>", headers={"Content-Type": "text/xml"}),
            await http.post("/api/scale", content=b"x"),
            await http.post("/api/scale", content=bytes(1001), headers=image),
            await http.post("/api/scale", content=endless(), headers=image),
            await http.post("/api/scale", content=endless(), headers=image | LATER),
            await http.post("/api/scale", files={"image": ("1.jpg", bytes(1001))}),
            await http.post("/api/scale", json={"source": "s3://b/" + "x" * 70_000}),
            await http.post("/api/scale", data={"factor": "2"}, files={"x": ("", b"")}),
            await http.post("/api/scale", content=b"{", headers={"Content-Type": "application/json"}),
            await http.post("/api/scale", content=b"-", headers={"Content-Type": "multipart/form-data"}),
        ]
    assert [answer.status_code for answer in answers] == [415, 415, 413, 413, 413, 413, 413, 400, 422, 400]


async def test_a_job_is_made_where_it_is_preferred_and_its_result_is_kept_for_a_while(
    platform: Platform,
) -> None:
    async with running(platform, keep_results=timedelta(seconds=2)) as http:
        accepted = await http.post(
            "/api/scale", content=jpeg(1), headers={"Content-Type": "image/jpeg", **LATER}
        )
        job = await ended(http, accepted)
        result = await http.get(job["result"])
        files = (await http.get(f"/api/jobs/{job['id']}/files")).json()["files"]
        (told,) = await heard(platform, ImageScaled, at_least=1)
        async with asyncio.timeout(20):
            while [one async for one in platform.objects.list(f"scaler/jobs/{job['id']}/")]:
                await asyncio.sleep(0.05)
        gone = await http.get(job["result"])

    assert (job["kind"], job["state"], job["images_done"], accepted.json()["id"]) == (
        "image",
        "done",
        1,
        job["id"],
    )
    assert (size_of(result.content), result.headers["content-type"]) == ((96, 64), "image/jpeg")
    assert [(file["width"], file["state"]) for file in files] == [(96, "scaled")]
    assert (told.data.sha256, told.data.flight_id) == (sha256(result.content).hexdigest(), None)
    assert gone.status_code == 404


async def test_a_large_image_becomes_a_job_without_being_held_in_memory(platform: Platform) -> None:
    async with running(platform, answered_bytes_at_most=1000) as http:
        content = jpeg(1, width=320, height=240)
        assert len(content) > 1000
        job = await ended(
            http, await http.post("/api/scale", content=content, headers={"Content-Type": "image/jpeg"})
        )
        form = await ended(http, await http.post("/api/scale", files={"image": ("a.jpg", content)}))
        results = [(await http.get(one["result"])).content for one in (job, form)]
    assert [size_of(result) for result in results] == [(640, 480), (640, 480)]
    assert form["name"] == "a.jpg"


async def test_an_upload_that_breaks_off_leaves_nothing(platform: Platform) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield jpeg(1)[:100]
        raise ConnectionResetError

    async with running(platform) as http:
        with pytest.raises(ConnectionResetError):
            await http.post("/api/scale", content=broken(), headers={"Content-Type": "image/jpeg", **LATER})
        async with asyncio.timeout(20):
            while await Scaler(platform).jobs.count({"state": "scaling"}):
                await asyncio.sleep(0.05)
    assert [one async for one in platform.objects.list("scaler/")] == []


async def test_an_image_in_a_folder_is_scaled(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a b#1.jpg").write_bytes(jpeg(1))
    async with opened(tmp_path / "home", folders=(folder,)) as on, running(on) as http:
        source = f"{folder.as_uri()}/a b#1.jpg"
        job = await ended(http, await http.post("/api/scale", json={"source": source, "factor": 0.5}))
        result = await http.get(job["result"])
        refused = await http.post("/api/scale", json={"source": "file:///etc/passwd"})
        missing = await ended(
            http, await http.post("/api/scale", json={"source": f"{folder.as_uri()}/no.jpg"})
        )
    assert size_of(result.content) == (24, 16)
    assert (refused.status_code, "none of the folders" in refused.text) == (400, True)
    assert (missing["state"], "there is no no.jpg" in missing["error"]) == ("failed", True)


async def test_an_image_on_the_web_is_scaled_where_the_address_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(jpeg(1))
    async with web_server(folder) as server:
        source = f"{server.url}/1.jpg?sig=secret-signature"
        async with opened(tmp_path / "open", allow_private_urls=True) as on, running(on) as http:
            job = await ended(http, await http.post("/api/scale", json={"source": source}))
            result = await http.get(job["result"])
            listed = (await http.get("/api/jobs/")).text
        async with opened(tmp_path / "home") as on, running(on) as http:
            plain = await http.post("/api/scale", json={"source": source})
            private = await ended(
                http, await http.post("/api/scale", json={"source": source.replace("http:", "https:")})
            )
    assert size_of(result.content) == (96, 64)
    assert "secret-signature" not in listed
    assert plain.status_code == 400
    assert (private["state"], "not a public address" in private["error"]) == ("failed", True)


async def test_an_image_in_a_bucket_is_scaled(tmp_path: Path, s3: S3Server) -> None:
    bucket = s3.new_bucket()
    async with s3.open(bucket, "some/where") as store:
        await store.put("1.jpg", jpeg(1))
    settings = {
        "s3_endpoint": s3.endpoint_url,
        "s3_region": REGION,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    }
    async with opened(tmp_path / "home", **settings) as on, running(on) as http:
        job = await ended(
            http, await http.post("/api/scale", json={"source": f"s3://{bucket}/some/where/1.jpg"})
        )
        result = await http.get(job["result"])
    assert size_of(result.content) == (96, 64)


async def test_sources_that_cannot_be_read_are_refused(http: httpx.AsyncClient) -> None:
    sources = (
        "ftp://host/1.jpg", "1.jpg", "s3://", "file:///", "https://user:pw@host/1.jpg", "https://",
        "dav://h/x.jpg", "s3://b/" + " " * 4000, "tapis://s/1.jpg",
    )  # fmt: skip
    answers = [await http.post("/api/scale", json={"source": source}) for source in sources]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(400, "invalid_input")] * 9
    assert not any("pw" in answer.text for answer in answers)


async def test_the_interface_is_described(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    scale = document["paths"]["/api/scale"]["post"]
    assert {"image/*", "multipart/form-data", "application/json"} <= set(scale["requestBody"]["content"])
    assert {"200", "202", "413", "415", "422"} <= set(scale["responses"])
    assert JobState.PAUSED in document["components"]["schemas"]["JobState"]["enum"]
