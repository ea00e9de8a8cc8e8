"""Both versions of the key-value engine, asked by hvac itself."""

from __future__ import annotations

from typing import Any

import pytest
from hvac.exceptions import InvalidPath, InvalidRequest

SECRET = {"username": "mia", "numbers": [1, 2]}


def read(client: Any, path: str, **more: Any) -> Any:
    return client.secrets.kv.v2.read_secret_version(
        path, mount_point="kv", raise_on_deleted_version=False, **more
    )["data"]


def write(client: Any, path: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
    values = SECRET if values is None else values
    return client.secrets.kv.v2.create_or_update_secret(path, values, mount_point="kv", **more)["data"]


def test_what_is_written_is_read_with_its_version(client: Any) -> None:
    first = write(client, "drones/webdav")
    write(client, "drones/webdav", {"username": "tom"})

    assert first["version"] == 1
    assert read(client, "drones/webdav")["data"] == {"username": "tom"}
    assert read(client, "drones/webdav", version=1)["data"] == SECRET
    metadata = read(client, "drones/webdav")["metadata"]
    assert (metadata["version"], metadata["deletion_time"], metadata["destroyed"]) == (2, "", False)


def test_what_was_never_there_is_an_invalid_path_without_errors(client: Any) -> None:
    with pytest.raises(InvalidPath) as missing:
        read(client, "nothing")

    assert missing.value.json == {"errors": []}


def test_a_deleted_version_is_answered_without_its_values(client: Any) -> None:
    write(client, "webdav")
    client.secrets.kv.v2.delete_latest_version_of_secret("webdav", mount_point="kv")

    gone = read(client, "webdav")
    with pytest.raises(InvalidPath):
        client.secrets.kv.v2.read_secret_version("webdav", mount_point="kv", raise_on_deleted_version=True)

    assert gone["data"] is None
    assert gone["metadata"]["deletion_time"].endswith("Z")


def test_a_deleted_version_comes_back(client: Any) -> None:
    write(client, "webdav")
    client.secrets.kv.v2.delete_secret_versions("webdav", versions=[1], mount_point="kv")
    client.secrets.kv.v2.undelete_secret_versions("webdav", versions=[1], mount_point="kv")

    assert read(client, "webdav")["data"] == SECRET


def test_a_destroyed_version_does_not_come_back(client: Any) -> None:
    write(client, "webdav")
    client.secrets.kv.v2.destroy_secret_versions("webdav", versions=[1], mount_point="kv")
    client.secrets.kv.v2.undelete_secret_versions("webdav", versions=[1], mount_point="kv")

    with pytest.raises(InvalidPath) as gone:
        read(client, "webdav")

    assert gone.value.json["data"]["metadata"]["destroyed"] is True


def test_check_and_set_lets_the_first_writer_win(client: Any) -> None:
    write(client, "webdav", cas=0)
    write(client, "webdav", cas=1)

    for wrong in (0, 1, 3):
        with pytest.raises(InvalidRequest, match="check-and-set parameter did not match"):
            write(client, "webdav", cas=wrong)


def test_check_and_set_may_be_required(client: Any) -> None:
    write(client, "webdav")
    client.secrets.kv.v2.update_metadata("webdav", mount_point="kv", cas_required=True)

    with pytest.raises(InvalidRequest, match="check-and-set parameter required"):
        write(client, "webdav")


def test_names_are_listed_with_folders(client: Any) -> None:
    for path in ("webdav", "drones/webdav", "drones/deep/a"):
        write(client, path)

    def keys(path: str) -> Any:
        return client.secrets.kv.v2.list_secrets(path, mount_point="kv")["data"]["keys"]

    assert keys("") == ["drones/", "webdav"]
    assert keys("drones") == ["deep/", "webdav"]
    with pytest.raises(InvalidPath):
        keys("nowhere")


def test_metadata_tells_of_all_versions(client: Any) -> None:
    write(client, "webdav")
    write(client, "webdav")
    client.secrets.kv.v2.delete_secret_versions("webdav", versions=[1], mount_point="kv")

    told = client.secrets.kv.v2.read_secret_metadata("webdav", mount_point="kv")["data"]

    assert told["current_version"] == 2
    assert [bool(told["versions"][number]["deletion_time"]) for number in ("1", "2")] == [True, False]


def test_old_versions_are_dropped(client: Any) -> None:
    for number in range(12):
        write(client, "webdav", {"number": number})

    assert read(client, "webdav", version=3)["data"] == {"number": 2}
    with pytest.raises(InvalidPath):
        read(client, "webdav", version=2)


def test_a_secret_may_be_forgotten(client: Any) -> None:
    write(client, "webdav")
    client.secrets.kv.v2.delete_metadata_and_all_versions("webdav", mount_point="kv")

    with pytest.raises(InvalidPath):
        read(client, "webdav")


def test_a_patch_changes_some_keys(client: Any) -> None:
    write(client, "webdav")
    with pytest.warns(DeprecationWarning, match="raise_on_deleted_version"):  # hvac warns of itself
        client.secrets.kv.v2.patch("webdav", {"username": "tom"}, mount_point="kv")

    assert read(client, "webdav")["data"] == {**SECRET, "username": "tom"}


def test_version_1_keeps_what_was_written_last(client: Any) -> None:
    engine = client.secrets.kv.v1
    engine.create_or_update_secret("drones/webdav", SECRET, mount_point="team/old")

    assert engine.read_secret("drones/webdav", mount_point="team/old")["data"] == SECRET
    assert engine.list_secrets("", mount_point="team/old")["data"]["keys"] == ["drones/"]
    engine.delete_secret("drones/webdav", mount_point="team/old")
    with pytest.raises(InvalidPath):
        engine.read_secret("drones/webdav", mount_point="team/old")


def test_a_path_of_version_1_is_refused_by_version_2(client: Any) -> None:
    write(client, "webdav")

    with pytest.raises(InvalidPath) as wrong:
        client.secrets.kv.v1.read_secret("webdav", mount_point="kv")

    assert "versioned K/V" in wrong.value.json["warnings"][0]


def test_engines_are_mounted_and_listed(client: Any) -> None:
    client.sys.enable_secrets_engine("kv", path="more", options={"version": "2"})

    mounts = client.sys.list_mounted_secrets_engines()["data"]

    assert {path: facts["options"]["version"] for path, facts in mounts.items()} == {
        "kv/": "2",
        "team/old/": "1",
        "more/": "2",
    }
