"""References to secrets."""

from pathlib import Path

import pytest

from shared.errors import InvalidInputError
from shared.secrets import SECRET_AT_MOST_BYTES, resolve


def test_a_plain_value_is_left_as_it_is() -> None:
    assert resolve("hunter2:x") == "hunter2:x"


def test_a_file_url_is_no_reference() -> None:
    assert resolve("file:///folder/objects") == "file:///folder/objects"


def test_a_variable_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITE_PASSWORD", "hunter2")

    assert resolve("env:KITE_PASSWORD") == "hunter2"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_is_resolved_without_its_last_line_break(tmp_path: Path, end: str) -> None:
    (tmp_path / "secret").write_bytes(f"two\nlines{end}".encode())

    assert resolve(f"file:{tmp_path}/secret") == "two\nlines"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(InvalidInputError, match="KITE_NOT_SET, which is not set"):
        resolve("env:KITE_NOT_SET")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing-here, which cannot be read: No such file"):
        resolve(f"file:{tmp_path}/nothing-here")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (SECRET_AT_MOST_BYTES + 1)])
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)

    with pytest.raises(InvalidInputError, match=r"photo\.jpg, which is"):
        resolve(f"file:{tmp_path}/photo.jpg")
