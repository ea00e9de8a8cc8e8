"""Where flight and store lie on one server, the content stays there and is kept like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.collections import JOURNAL, TRANSFERS
from ingest.domain.transfers import Staged
from shared.objects.port import StoredObject
from shared.objects.s3_client import Server, s3_client
from shared.platform import Platform
from shared.sources.s3 import S3Source
from tests.ingest.conftest import opened
from tests.ingest.scripted import Copying, OneSource, ScriptedSource, jpeg
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

FILES = {"a b#1.jpg": jpeg("one"), "ü.jpg": jpeg("two"), "cut.jpg": jpeg("three")[:-2]}


@pytest.fixture
async def platform(s3: S3Server, tmp_path: Path) -> AsyncIterator[Platform]:
    """Objects in a bucket of the server that has the flight."""
    place = {
        "objects": f"s3://{s3.new_bucket()}/staging",
        "s3_endpoint": s3.endpoint_url,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    }
    async with opened(tmp_path / "home", **place) as platform:
        yield platform


async def copied(s3: S3Server, copying: Copying) -> Staged:
    """Copy the files from a bucket, where others put them."""
    bucket, on = s3.new_bucket(), copying.on
    await on.store.declare(TRANSFERS, JOURNAL)
    async with s3_client(Server(s3.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)) as client:
        for name, content in FILES.items():
            await client.put_object(Bucket=bucket, Key=f"f/{name}", Body=content)
        copier = replace(copying.copier, sources=OneSource(S3Source(client, bucket, "f")))

        async def counted() -> None:
            """Hear of a finished file."""

        return await copier.copy(await copying.transfer("1"), copying.tally, counted, is_last=True)


async def test_what_the_server_copied_is_kept_with_its_hash(s3: S3Server, platform: Platform) -> None:
    copying = Copying(platform, ScriptedSource())
    staged = await copied(s3, copying)
    whole = {name: content for name, content in FILES.items() if name != "cut.jpg"}

    def kept(stored: StoredObject | None) -> tuple[str | None, str] | None:
        return (stored.sha256, stored.content_type) if stored else None

    images = (await copying.manifest(staged)).images
    assert await copying.contents(staged) == whole
    assert await copying.left_out(staged) == {"cut.jpg": "truncated"}
    assert {image.path: kept(await platform.objects.stat(image.key)) for image in images} == {
        name: (sha256(content).hexdigest(), "image/jpeg") for name, content in whole.items()
    }
    assert copying.tally.amounts.read_bytes == 0
