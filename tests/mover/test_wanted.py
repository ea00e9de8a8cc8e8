"""What is to be sorted: settings, the operator's constants, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mover.config import Settings
from mover.domain.deciding import Rules
from mover.wanted import Wanted, read_wanted
from shared.constants import open_constants
from shared.errors import InvalidInputError
from shared.settings import PlatformSettings
from tests.mover.conftest import ROOT, UNSORTED, opened, webdav_settings
from tests.support.dav_servers.running import RunningDav
from tests.support.vault import ROOT as TOKEN
from tests.support.vault import vault_server

WEBDAV = {
    "host_url": "https://nextcloud.example.com",
    "username": "your_username",
    "password": "your_password",
}
CONSTANTS = {
    "IMAGES_ROOT_DIR": "data/AI/organized",
    "UNSORTED_REMOTE_DIR": "data/AI/_unsorted",
    "PARENT_TAG_VALUE": "ai",
}
DOCUMENT = {"webdav": WEBDAV, "mover_constants": CONSTANTS}
"""As the user's document has it."""


async def wanted(
    tmp_path: Path,
    document: Mapping[str, Any] | None = None,
    platform: Mapping[str, Any] | None = None,
    **own: Any,
) -> Wanted | None:
    given = dict(platform or {})
    if document is not None:
        file = tmp_path / "constants.json"
        file.write_text(json.dumps(document))
        given["constants"] = f"file:{file}"
    settings = PlatformSettings(home=tmp_path, **given)
    async with open_constants(settings) as constants:
        return await read_wanted(Settings(**own), settings, constants)


async def test_the_users_document_is_enough(tmp_path: Path) -> None:
    found = await wanted(tmp_path, DOCUMENT)

    assert found is not None
    assert found.rules == Rules("ai", "data/AI/organized", "data/AI/_unsorted")
    assert found.place.url == "https://nextcloud.example.com/remote.php/dav/files/your_username/"
    assert "your_password" not in f"{found!r} {found.name}"


async def test_settings_win_over_constants_one_by_one(tmp_path: Path) -> None:
    found = await wanted(tmp_path, DOCUMENT, images_root_dir="/elsewhere/", parent_tag_value="lab:")

    assert found is not None
    assert found.rules == Rules("lab", "elsewhere", "data/AI/_unsorted")


async def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    login = {f"webdav_{name}": value for name, value in WEBDAV.items()}

    found = await wanted(tmp_path, platform=login, images_root_dir="a", unsorted_remote_dir="b")

    assert found is not None
    assert found.rules == Rules("ai", "a", "b")


async def test_a_scaler_alone_asks_nothing_of_the_mover(tmp_path: Path) -> None:
    assert await wanted(tmp_path) is None
    assert await wanted(tmp_path, {"webdav": WEBDAV, "scaler_constants": {}}) is None


@pytest.mark.parametrize(
    ("constants", "named"),
    [
        ({"UNSORTED_REMOTE_DIR": "b"}, "IMAGES_ROOT_DIR"),
        ({"IMAGES_ROOT_DIR": "a"}, "MOVER_UNSORTED_REMOTE_DIR"),
        ({"IMAGES_ROOT_DIR": "a", "UNSORTED_REMOTE_DIR": ""}, "UNSORTED_REMOTE_DIR"),
        ({"IMAGES_ROOT_DIR": "../a", "UNSORTED_REMOTE_DIR": "b"}, "IMAGES_ROOT_DIR"),
        ({"IMAGES_ROOT_DIR": "a", "UNSORTED_REMOTE_DIR": "b", "PARENT_TAG_VALUE": ":"}, "PARENT_TAG_VALUE"),
    ],
)
async def test_what_is_missing_or_wrong_is_named(
    tmp_path: Path, constants: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidInputError, match=named):
        await wanted(tmp_path, {"webdav": WEBDAV, "mover_constants": constants})


async def test_a_missing_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="FLIGHTLINE_WEBDAV_HOST_URL"):
        await wanted(tmp_path, {"mover_constants": CONSTANTS})


@pytest.mark.parametrize("below", ["", "data/"])
async def test_nextclouds_old_address_is_good_enough(
    nextcloud: RunningDav, tmp_path: Path, below: str
) -> None:
    """The user's document has it; it tells no tags, so that those are asked for at the new one."""
    assert nextcloud.simulator is not None
    for folder, tag in {UNSORTED: "ai:cats", f"{ROOT}/dogs": "ai:dogs"}.items():
        nextcloud.stored.put(f"{folder}/a.jpg", folder.encode())
        nextcloud.stored.tag(f"{folder}/a.jpg", tag)
    url = f"{nextcloud.place.host_url}remote.php/webdav/{below}"
    folders = {
        "images_root_dir": ROOT.removeprefix(below),
        "unsorted_remote_dir": UNSORTED.removeprefix(below),
    }
    platform = webdav_settings(replace(nextcloud.place, url=url), tmp_path)
    async with opened(nextcloud, tmp_path, platform=platform, settings=folders) as sorting:
        report = await sorting.run()

    assert (report.moved, report.repaired) == (1, 1)
    assert nextcloud.stored.names(ROOT) == {"cats/a.jpg", "dogs/a.jpg"}
    assert nextcloud.stored.tags_of(f"{ROOT}/cats/a.jpg") == set()
    assert nextcloud.stored.tags_of(f"{ROOT}/dogs/a.jpg") == set()


async def test_it_sorts_by_constants_in_vault_and_follows_their_changes(
    nextcloud: RunningDav, tmp_path: Path
) -> None:
    place = nextcloud.place
    login = {
        "host_url": place.host_url,
        "username": place.username,
        "password": place.password.get_secret_value(),
    }
    for folder in (UNSORTED, "other"):
        nextcloud.stored.put(f"{folder}/a.jpg", folder.encode())
        nextcloud.stored.tag(f"{folder}/a.jpg", "ai:cats", "lab:dogs")
    with vault_server() as vault:
        vault.put("kv/webdav", login)
        vault.put("kv/mover_constants", CONSTANTS)
        platform = PlatformSettings(
            home=tmp_path / "home",
            constants="vault:kv",
            constants_refresh=timedelta(milliseconds=100),
            vault_url=vault.url,
            vault_token=TOKEN,
        )
        nothing = {"images_root_dir": None, "unsorted_remote_dir": None, "repair_every": timedelta()}
        async with opened(nextcloud, tmp_path / "home", platform=platform, settings=nothing) as sorting:
            await sorting.run()
            assert nextcloud.stored.names(ROOT) == {"cats/a.jpg"}

            vault.put(
                "kv/mover_constants", {**CONSTANTS, "UNSORTED_REMOTE_DIR": "other", "PARENT_TAG_VALUE": "lab"}
            )
            while nextcloud.stored.names(ROOT) == {"cats/a.jpg"}:
                await sorting.run()

    assert nextcloud.stored.names(ROOT) == {"cats/a.jpg", "dogs/a.jpg"}
