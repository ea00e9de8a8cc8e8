"""The constants of scaler and mover: from a file, from Vault, and from settings, which win."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from flightline.vault_simulator import SimulatedVault
from flightline.vault_simulator.kv import VersionedEngine
from shared.constants import (
    WEBDAV,
    Constant,
    Constants,
    Names,
    WebdavConstants,
    open_constants,
    parse_constant,
    webdav_constants,
)
from shared.constants.file import FILE_AT_MOST_BYTES
from shared.errors import InvalidInputError, TransientError
from shared.settings import PlatformSettings, load
from shared.vault_settings import ConstantsSettings
from tests.support.vault import ROOT, vault_server

SCALER = "scaler_constants"
DOCUMENT: dict[str, dict[str, Any]] = {
    "webdav": {
        "host_url": "https://webdav.example.com/remote.php/webdav/",
        "url": "https://webdav.example.com/remote.php/webdav/user_folder/",
        "username": "your_username",
        "password": "your_password",
    },
    "scaler_constants": {
        "RAW_NAMES_PREFIXES": ["Unknown"],
        "RAW_REMOTE_DIR": "data/AI/_raw",
        "UNSORTED_REMOTE_DIR": "data/AI/_unsorted",
    },
    "mover_constants": {
        "IMAGES_ROOT_DIR": "data/AI/organized",
        "UNSORTED_REMOTE_DIR": "data/AI/_unsorted",
        "PARENT_TAG_VALUE": "ai",
    },
}
"""As the user wrote it down."""


class Scaling(BaseModel):
    """What somebody wants of ``scaler_constants``."""

    model_config = ConfigDict(frozen=True)

    prefixes: Names = Field(alias="RAW_NAMES_PREFIXES")
    raw_folder: str = Field(alias="RAW_REMOTE_DIR", min_length=1)


def in_file(path: Path, document: object = DOCUMENT, **more: Any) -> ConstantsSettings:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return ConstantsSettings.model_validate({"constants": f"file:{path}", **more})


def in_vault(vault: SimulatedVault, constants: str = "vault:kv", **more: Any) -> ConstantsSettings:
    given = {"vault_url": vault.url, "vault_token": ROOT, "constants_refresh": "50ms", **more}
    return ConstantsSettings.model_validate({"constants": constants, **given})


def filled(vault: SimulatedVault, folder: str = "kv") -> SimulatedVault:
    for name, values in DOCUMENT.items():
        vault.put(f"{folder}/{name}", values)
    return vault


async def until_version(constants: Constants, name: str, version: str | None) -> Constant | None:
    async with asyncio.timeout(30):
        while True:
            found = await constants.read(name)
            if (found and found.version) == version:
                return found
            await asyncio.sleep(0.02)


@pytest.fixture
def vault() -> Iterator[SimulatedVault]:
    with vault_server() as served:
        yield filled(served)


@pytest.mark.parametrize("source", ["file", "kv", "kv/flightline", "team/old"])
async def test_the_users_document_is_read_as_it_is(
    vault: SimulatedVault, tmp_path: Path, source: str
) -> None:
    filled(vault, "team/old")
    filled(vault, "kv/flightline")
    settings = in_file(tmp_path / "c.json") if source == "file" else in_vault(vault, f"vault:{source}")

    async with open_constants(settings) as constants:
        found = {name: await constants.read(name) for name in DOCUMENT}

    assert {name: one and dict(one.values) for name, one in found.items()} == DOCUMENT


async def test_without_a_source_there_are_none() -> None:
    async with open_constants(ConstantsSettings()) as constants:
        assert await constants.read(WEBDAV) is None
        assert constants.where == ""


async def test_a_secret_that_is_not_there_is_none(vault: SimulatedVault, tmp_path: Path) -> None:
    async with (
        open_constants(in_vault(vault)) as kept,
        open_constants(in_file(tmp_path / "c.json")) as written,
    ):
        assert await kept.read("other_constants") is None
        assert await written.read("other_constants") is None


@pytest.mark.parametrize(
    "value",
    [
        ["Unknown", "IMG_"],
        '["Unknown", "IMG_"]',
        "Unknown, IMG_",
        "Unknown,IMG_,",
    ],
)
def test_a_list_may_be_a_list_or_a_text(value: object) -> None:
    """The original read JSON out of a text only, though its README shows a list."""
    values = {**DOCUMENT[SCALER], "RAW_NAMES_PREFIXES": value}

    found = parse_constant(Scaling, SCALER, Constant(values, "1", "here"), prefix="SCALER_")

    assert found
    assert found.prefixes == ("Unknown", "IMG_")


@pytest.mark.parametrize("value", ['["Unknown"', [1, 2], '{"a": 1}', 7, None])
def test_what_is_no_list_of_names_is_told(value: object) -> None:
    values = {**DOCUMENT[SCALER], "RAW_NAMES_PREFIXES": value}

    with pytest.raises(InvalidInputError, match=r"key RAW_NAMES_PREFIXES: .*SCALER_RAW_NAMES_PREFIXES"):
        parse_constant(Scaling, SCALER, Constant(values, "1", "here"), prefix="SCALER_")


def test_a_name_alone_in_quotes_is_one_name() -> None:
    values = {**DOCUMENT[SCALER], "RAW_NAMES_PREFIXES": '"Unknown"'}

    found = parse_constant(Scaling, SCALER, Constant(values, "1", "here"), prefix="SCALER_")

    assert found
    assert found.prefixes == ("Unknown",)


def test_a_missing_key_is_told_with_its_secret_and_setting() -> None:
    constant = Constant({"RAW_NAMES_PREFIXES": [], "other": 1}, "1", "Vault, kv/scaler_constants")

    with pytest.raises(InvalidInputError) as missing:
        parse_constant(Scaling, SCALER, constant, prefix="SCALER_")

    assert str(missing.value) == (
        "scaler_constants (Vault, kv/scaler_constants) has no key RAW_REMOTE_DIR: add it there, or set"
        " SCALER_RAW_REMOTE_DIR"
    )


def test_what_a_setting_says_wins() -> None:
    constant = Constant(DOCUMENT[SCALER], "1", "here")
    own = {"RAW_REMOTE_DIR": "mine", "RAW_NAMES_PREFIXES": None}

    found = parse_constant(Scaling, SCALER, constant, own, prefix="SCALER_")

    assert found
    assert (found.raw_folder, found.prefixes) == ("mine", ("Unknown",))


def test_a_setting_that_cannot_be_used_is_named() -> None:
    constant = Constant(DOCUMENT[SCALER], "1", "here")

    with pytest.raises(InvalidInputError, match=r"^SCALER_RAW_REMOTE_DIR: "):
        parse_constant(Scaling, SCALER, constant, {"RAW_REMOTE_DIR": ""}, prefix="SCALER_")


def test_settings_alone_are_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_WEBDAV_URL", "https://cloud.example.org/dav")
    monkeypatch.setenv("FLIGHTLINE_WEBDAV_USERNAME", "mia")
    monkeypatch.setenv("FLIGHTLINE_WEBDAV_PASSWORD", "app-password")

    found = webdav_constants(load(PlatformSettings), None)

    assert found
    assert found.place().url == "https://cloud.example.org/dav/"
    assert found.place().password.get_secret_value() == "app-password"


def test_nothing_at_all_is_none() -> None:
    assert webdav_constants(ConstantsSettings(), None) is None


@pytest.mark.parametrize(
    ("given", "folder", "root"),
    [
        (
            DOCUMENT[WEBDAV],
            "https://webdav.example.com/remote.php/webdav/user_folder/",
            "https://webdav.example.com",
        ),
        (
            {"host_url": "https://nextcloud.example.com"},
            "https://nextcloud.example.com/remote.php/dav/files/your_username/",
            "https://nextcloud.example.com",
        ),
        (
            {"host_url": "https://nextcloud.example.com/remote.php/webdav/"},
            "https://nextcloud.example.com/remote.php/webdav/",
            "https://nextcloud.example.com",
        ),
        ({"url": "https://webdav.example.com/dav"}, "https://webdav.example.com/dav/", ""),
        (
            {"url": "https://webdav.example.com/remote.php/dav/files/mia/"},
            "https://webdav.example.com/remote.php/dav/files/mia/",
            "https://webdav.example.com",
        ),
    ],
)
def test_both_forms_of_webdav_lead_to_a_folder(given: dict[str, str], folder: str, root: str) -> None:
    """Scaler's secret has url and host_url, mover's only the Nextcloud's root."""
    login = {"username": "your_username", "password": "your_password"}

    place = WebdavConstants.model_validate({**login, **given}).place()

    assert (place.url, place.nextcloud_url) == (folder, root)


def test_a_username_of_strange_characters_is_part_of_the_path() -> None:
    login = {"host_url": "https://cloud.example.org", "username": "m@ia ü", "password": "x"}

    place = WebdavConstants.model_validate(login).place()

    assert place.url == "https://cloud.example.org/remote.php/dav/files/m%40ia%20%C3%BC/"


def test_a_password_of_digits_may_be_a_number() -> None:
    login = {"host_url": "https://cloud.example.org", "username": 7, "password": 12345}

    found = WebdavConstants.model_validate(login)

    assert found.password.get_secret_value() == "12345"


def test_webdav_without_an_address_says_what_to_add() -> None:
    constant = Constant({"username": "mia", "password": "x"}, "1", "here")

    with pytest.raises(InvalidInputError, match="neither url nor host_url is there"):
        webdav_constants(ConstantsSettings(), constant)


def test_a_password_is_not_sent_in_the_clear() -> None:
    constant = Constant({**DOCUMENT[WEBDAV], "url": "http://webdav.example.com/"}, "1", "here")

    with pytest.raises(InvalidInputError, match="key url: logins would travel in the clear"):
        webdav_constants(ConstantsSettings(), constant)


async def test_a_change_in_vault_counts_without_a_restart(vault: SimulatedVault) -> None:
    async with open_constants(in_vault(vault)) as constants:
        assert await until_version(constants, SCALER, "1")
        vault.put(f"kv/{SCALER}", {**DOCUMENT[SCALER], "RAW_REMOTE_DIR": "elsewhere"})
        found = await until_version(constants, SCALER, "2")

    assert found
    assert found.values["RAW_REMOTE_DIR"] == "elsewhere"


async def test_a_change_in_a_file_counts_without_a_restart(tmp_path: Path) -> None:
    settings = in_file(tmp_path / "c.json", constants_refresh="50ms")
    async with open_constants(settings) as constants:
        before = await constants.read(SCALER)
        in_file(tmp_path / "c.json", {SCALER: {"RAW_REMOTE_DIR": "elsewhere"}})
        async with asyncio.timeout(30):
            while (after := await constants.read(SCALER)) == before:
                await asyncio.sleep(0.02)

    assert after
    assert after.values == {"RAW_REMOTE_DIR": "elsewhere"}


async def test_while_vault_is_sealed_what_was_read_counts(vault: SimulatedVault) -> None:
    async with open_constants(in_vault(vault)) as constants:
        await constants.read(SCALER)
        vault.condition.is_sealed = True
        async with asyncio.timeout(30):
            while not constants.troubles():
                await asyncio.sleep(0.02)
        assert await until_version(constants, SCALER, "1")
        assert "is sealed" in constants.troubles()[SCALER]
        vault.condition.is_sealed = False
        async with asyncio.timeout(30):
            while constants.troubles():
                await asyncio.sleep(0.02)


async def test_a_deleted_secret_counts_no_longer(vault: SimulatedVault) -> None:
    engine = vault.mounts["kv"]
    assert isinstance(engine, VersionedEngine)
    async with open_constants(in_vault(vault)) as constants:
        await constants.read(SCALER)
        engine.delete(SCALER)
        with pytest.raises(InvalidInputError, match=f"kv/{SCALER}: version 1 was deleted"):
            await until_version(constants, SCALER, "2")


async def test_a_secret_that_appears_is_found(vault: SimulatedVault) -> None:
    async with open_constants(in_vault(vault)) as constants:
        assert await constants.read("other_constants") is None
        vault.put("kv/other_constants", {"a": 1})
        assert await until_version(constants, "other_constants", "1")


async def test_a_vault_that_is_down_from_the_start_is_asked_again(vault: SimulatedVault) -> None:
    vault.condition.is_sealed = True
    async with open_constants(in_vault(vault)) as constants:
        with pytest.raises(TransientError, match="is sealed"):
            await constants.read(SCALER)
        vault.condition.is_sealed = False
        async with asyncio.timeout(30):
            while constants.troubles():
                await asyncio.sleep(0.02)
        assert await constants.read(SCALER)


async def test_many_readers_ask_once(vault: SimulatedVault) -> None:
    async with open_constants(in_vault(vault, constants_refresh="1h")) as constants:
        found = await asyncio.gather(*(constants.read(SCALER) for _ in range(20)))

    assert len({one.version for one in found if one}) == 1
    assert vault.calls.count("GET", f"kv/data/{SCALER}") == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "is no JSON object"),
        ("not json", "is no JSON object"),
        ('{"scaler_constants": ["Unknown"]}', "scaler_constants in .* is no JSON object"),
        ("x" * (FILE_AT_MOST_BYTES + 1), "is larger than"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str, told: str) -> None:
    async with open_constants(in_file(tmp_path / "c.json", content)) as constants:
        with pytest.raises(InvalidInputError, match=f"c.json.*{told}|{told}"):
            await constants.read(SCALER)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    settings = ConstantsSettings.model_validate({"constants": f"file:{tmp_path}/nothing.json"})

    async with open_constants(settings) as constants:
        with pytest.raises(InvalidInputError, match=r"nothing\.json cannot be read: No such file"):
            await constants.read(SCALER)


@pytest.mark.parametrize("place", ["kv", "s3://bucket", "vault:", "vault:kv/../sys", "file:", "env:X"])
def test_a_place_of_no_known_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_CONSTANTS", place)

    with pytest.raises(InvalidInputError, match=r"FLIGHTLINE_CONSTANTS=.*expected vault:MOUNT"):
        load(PlatformSettings)


def test_constants_in_vault_need_its_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLIGHTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTLINE_CONSTANTS", "vault:kv")

    with pytest.raises(InvalidInputError, match="set FLIGHTLINE_VAULT_URL too"):
        load(PlatformSettings)
