import pytest

from odm_gateway.domain.archives import Entry, check, unpacking
from shared.errors import PermanentError

FILE, FOLDER, LINK, DEVICE = 0o100644, 0o040755, 0o120777, 0o020666


def entry(name: str, size_bytes: int = 10, packed_bytes: int = 10, crc32: int = 1, mode: int = 0) -> Entry:
    return Entry(name, size_bytes, packed_bytes, crc32, mode)


def test_every_wanted_file_gets_its_bare_name() -> None:
    entries = [
        entry("a/1.jpg"), entry("b/1.jpg", crc32=2), entry("c/1.JPG"), entry("d/"),
        entry("e.jpg", mode=FILE), entry("f", mode=LINK), entry("g", mode=FOLDER),
        entry("h", mode=DEVICE), entry("x/.i"), entry("j.zip"), entry("SEED.zip"),
        entry("__MACOSX/x/k.jpg"), entry("../../l.jpg"), entry("/m.jpg"), entry("n\\o.jpg"),
    ]  # fmt: skip
    assert list(unpacking(entries).names.values()) == [
        "1.jpg", "1_.jpg", "e.jpg", "SEED.zip", "l.jpg", "m.jpg", "o.jpg",
    ]  # fmt: skip


def test_files_that_cannot_be_called_so_are_told() -> None:
    plan = unpacking([entry("Icon\r"), entry("x" * 300 + ".jpg"), entry("a.jpg")])
    assert (plan.names, plan.skipped) == ({2: "a.jpg"}, ("Icon\r", "x" * 300 + ".jpg"))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([Entry("a", 1, 1, 0, 0, is_encrypted=True)], "encrypted"),
        ([entry("a", size_bytes=60)] * 2, "more than 100 bytes"),
        ([entry("a", size_bytes=2 << 20, packed_bytes=1000)], "no honest one"),
    ],
)
def test_archives_that_do_harm_are_refused(entries: list[Entry], words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        check(entries, 100)


def test_what_packs_well_is_no_bomb() -> None:
    check([entry("blank.tif", size_bytes=1_000_000, packed_bytes=1000), entry("a", size_bytes=50)], 2_000_000)
