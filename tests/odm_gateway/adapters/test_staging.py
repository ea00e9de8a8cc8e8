import hashlib
from pathlib import Path
from typing import Any

import pytest

from odm_gateway.adapters.staging import Staging
from odm_gateway.domain.manifest import ListedFile
from odm_gateway.ports import Job
from shared.errors import PermanentError
from shared.platform import Platform
from tests.support.gateway import stage_images

MANIFEST = "staging/manifest.json"


def job(manifest: str | None = None) -> Job:
    return Job("t", "odm-t", "staging/flight", manifest, (), "products/t")


def listed(name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"path": name, "key": f"staging/flight/{name}", "size_bytes": len(content), "sha256": digest}


async def put_manifest(platform: Platform, content: bytes) -> None:
    document = {
        "flight_id": "f",
        "images": [listed("a.jpg", content)],
        "sidecars": [listed("geo.txt", b"geo")],
    }
    await platform.objects.put("staging/flight/geo.txt", b"geo")
    await platform.objects.put("staging/flight/not-listed.jpg", b"x")
    await platform.objects.put(MANIFEST, str(document).replace("'", '"').encode())


async def staged(staging: Staging, files: tuple[ListedFile, ...], folder: Path) -> dict[str, bytes]:
    async for _ in staging.stage(files, folder):
        pass
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_manifest_says_which_files_count(platform: Platform, tmp_path: Path) -> None:
    await put_manifest(platform, b"image")
    await platform.objects.put("staging/flight/a.jpg", b"image")
    staging = Staging(platform.objects)
    files = await staging.files(job(MANIFEST))
    assert await staged(staging, files, tmp_path / "images") == {"a.jpg": b"image", "geo.txt": b"geo"}


async def test_a_file_that_differs_from_the_manifest_is_refused(platform: Platform, tmp_path: Path) -> None:
    await put_manifest(platform, b"image")
    await platform.objects.put("staging/flight/a.jpg", b"other")
    staging = Staging(platform.objects)
    files = await staging.files(job(MANIFEST))
    with pytest.raises(PermanentError, match=r"a\.jpg was changed"):
        await staged(staging, files, tmp_path / "images")


async def test_without_a_manifest_everything_below_the_prefix_counts(platform: Platform) -> None:
    await stage_images(platform)
    await platform.objects.put("staging/flight2/DJI_0009.JPG", b"another flight")
    assert len(await Staging(platform.objects).files(job())) == 3


@pytest.mark.parametrize("content", [b"{}", b"no json", None])
async def test_an_unreadable_manifest_is_permanent(platform: Platform, content: bytes | None) -> None:
    if content is not None:
        await platform.objects.put(MANIFEST, content)
    with pytest.raises(PermanentError, match="list of staged files"):
        await Staging(platform.objects).files(job(MANIFEST))


async def test_files_that_are_there_unharmed_are_kept(platform: Platform, tmp_path: Path) -> None:
    await put_manifest(platform, b"image")
    await platform.objects.put("staging/flight/a.jpg", b"image")
    staging = Staging(platform.objects)
    files = await staging.files(job(MANIFEST))
    await staged(staging, files, tmp_path / "images")
    kept = (tmp_path / "images/a.jpg").stat().st_ino
    (tmp_path / "images/geo.txt").write_bytes(b"ge0")
    (tmp_path / "images/half.jpg.partial").write_bytes(b"x")
    assert await staged(staging, files, tmp_path / "images") == {"a.jpg": b"image", "geo.txt": b"geo"}
    assert (tmp_path / "images/a.jpg").stat().st_ino == kept


async def test_files_with_a_role_are_put_where_engines_look(platform: Platform, tmp_path: Path) -> None:
    names = ("points.txt", "x/align.laz", "seed.zip", "1.jpg", "all.zip")
    for name in names:
        await platform.objects.put(f"staging/flight/{name}", name.encode())
    staging = Staging(platform.objects)
    assert await staged(staging, await staging.files(job()), tmp_path / "images") == {
        "gcp_list.txt": b"points.txt",
        "align.laz": b"x/align.laz",
        "seed.zip": b"seed.zip",
        "1.jpg": b"1.jpg",
    }
