"""What reaches ODM, and what its end means: a stand-in for ODM behind a gateway of its own."""

import io
import json
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.odm_gateway.wire_suite import odm_that_obeys
from tests.odm_gateway.wire_suite.conftest import client_of
from tests.odm_gateway.wire_suite.gateways import Node, Process, gateway_running, photo

ALIGN = "align.laz"
BESIDE = ("gcp_list.txt", "geo.txt", "image_groups.txt", ALIGN)
USUAL_FOLDERS = {"odm_orthophoto", "odm_georeferencing", "odm_dem", "odm_report"}


@pytest.fixture(scope="module")
def odm_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    ours = {
        "ODM_GATEWAY_ENGINE": "local",
        "ODM_GATEWAY_LOCAL_COMMAND": f"{sys.executable} '{odm_that_obeys.__file__}'",
        "ODM_GATEWAY_TASKS_AT_ONCE": "3",
    }
    with gateway_running(tmp_path_factory.mktemp("odm") / "home", ours) as process:
        yield process


@pytest.fixture
async def odm(odm_process: Process) -> AsyncIterator[Node]:
    """Give a gateway that calls a stand-in for ODM."""
    async with client_of(odm_process) as client:
        yield client


def options(**named: Any) -> str:
    return json.dumps([{"name": name.replace("_", "-"), "value": value} for name, value in named.items()])


async def archive_of(node: Node, uuid: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO((await node.http.get(f"/task/{uuid}/download/all.zip")).content))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "Cannot process dataset"),
        (134, "Cannot process dataset"),
        (139, "Cannot process dataset"),
        (137, "Not enough memory"),
        (132, "Unsupported CPU"),
        (3, "Installation issue"),
        (7, "Processing failed (7)"),
    ],
)
async def test_s1_5_exit_n_is_30_in_nodeodms_words(odm: Node, code: int, text: str) -> None:
    uuid = await odm.task(1, options=options(min_num_features=code))
    info = await odm.ended(uuid)
    assert (info["status"], info["progress"]) == ({"code": 30, "errorMessage": text}, 100)


async def test_s1_5_exit_0_is_40_with_the_archive(odm: Node) -> None:
    uuid = await odm.finished()
    assert (await archive_of(odm, uuid)).testzip() is None


async def test_s1_5_spawn_error_says_that_it_could_not_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ours = {"ODM_GATEWAY_ENGINE": "local", "ODM_GATEWAY_LOCAL_COMMAND": "/nowhere/odm"}
    with gateway_running(tmp_path_factory.mktemp("none") / "home", ours) as process:
        async with client_of(process) as node:
            status = (await node.ended(await node.task(1)))["status"]
    assert (status["code"], status["errorMessage"][:25]) == (30, "Could not start process (")


async def test_s1_5_progress_is_odms_own_and_scaled(odm: Node) -> None:
    uuid = await odm.task(1, options=options(mesh_size=1))
    seen: list[float] = []
    while (info := await odm.info(uuid))["status"]["code"] < 30:
        seen.append(info["progress"])
    assert info["status"] == {"code": 40}
    assert seen == sorted(seen)
    assert any(0 < progress < 100 for progress in seen)


async def test_s1_5_lines_have_lost_their_colours(odm: Node) -> None:
    lines = await odm.get(f"/task/{await odm.finished()}/output")
    assert "[INFO]    ODM app finished" in lines
    assert not any("\x1b" in line for line in lines)


async def test_s1_6_content_beside_the_images_reaches_odm(odm: Node) -> None:
    uuid = await odm.drafted(2)
    for name in BESIDE:
        assert await odm.upload(uuid, (name, b"EPSG:4326\n")) == {"success": True}
    await odm.commit(uuid)
    info = await odm.ended(uuid)
    lines = await odm.get(f"/task/{uuid}/output")
    told = dict(line.removeprefix("[INFO]    ").partition(": ")[::2] for line in lines)
    named = [told[flag].rpartition("/")[2] for flag in ("gcp", "geo", "split_image_groups", "align")]
    assert (info["status"], info["imagesCount"], named) == ({"code": 40}, 2, list(BESIDE))


async def test_s1_6_content_of_any_other_text_is_ground_control(odm: Node) -> None:
    uuid = await odm.drafted(1)
    await odm.upload(uuid, ("points of Monday.txt", b"EPSG:4326\n"))
    await odm.commit(uuid)
    await odm.ended(uuid)
    lines = await odm.get(f"/task/{uuid}/output")
    assert any(line.startswith("[INFO]    gcp: /") and line.endswith("gcp_list.txt") for line in lines)


async def test_s1_6_content_of_a_seed_is_unpacked_into_the_project(odm: Node) -> None:
    seed = io.BytesIO()
    with zipfile.ZipFile(seed, "w") as packed:
        packed.writestr("opensfm/reference_lla.json", "{}")
    uuid = await odm.drafted(1, outputs='["opensfm/reference_lla.json"]', skipPostProcessing="true")
    await odm.upload(uuid, ("seed.zip", seed.getvalue()))
    await odm.commit(uuid)
    assert (await odm.ended(uuid))["status"] == {"code": 40}
    assert (await archive_of(odm, uuid)).namelist() == ["opensfm/reference_lla.json"]


async def test_s1_7_outputs_are_all_that_is_in_the_archive(odm: Node) -> None:
    wanted = ["opensfm/matches", "../../cameras.json", "not/there", "images.json"]
    uuid = await odm.finished(outputs=json.dumps(wanted))
    names = (await archive_of(odm, uuid)).namelist()
    assert names == ["cameras.json", "images.json", "opensfm/matches/a.pkl.gz"]


async def test_s1_7_default_content_of_the_archive_is_the_usual(odm: Node) -> None:
    uuid = await odm.finished(options=options(dsm=True, dtm=True, tiles=True))
    names = (await archive_of(odm, uuid)).namelist()
    assert {"odm_dem/dsm.tif", "odm_dem/dtm.tif", "orthophoto_tiles/18/1/2.png"} <= set(names)
    assert {"images.json", "cameras.json", "task_output.txt", "log.json"} <= set(names)
    assert {name.partition("/")[0] for name in names if "/" in name} >= USUAL_FOLDERS
    assert not any(name.startswith(("opensfm/", "images/")) for name in names)


async def test_s1_7_zip_method_is_store(odm: Node) -> None:
    archive = await archive_of(odm, await odm.finished())
    assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


async def test_s1_7_post_processing_reaches_odm(odm: Node) -> None:
    lines = await odm.get(f"/task/{await odm.finished()}/output")
    assert {"[INFO]    pc_ept: True", "[INFO]    cog: True", "[INFO]    gltf: True"} <= set(lines)


async def test_q15_a_name_is_no_part_of_odms_command_line(odm: Node) -> None:
    uuid = await odm.task(1, name="--help; rm -rf '$HOME' {x}+")
    assert (await odm.ended(uuid))["status"] == {"code": 40}
    assert photo(0)[0] in json.dumps(json.loads((await archive_of(odm, uuid)).read("images.json")))
