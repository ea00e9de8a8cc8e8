from odm_gateway.domain.archives import unpacking
from shared.archives import Member

FILE, FOLDER, LINK, DEVICE = 0o100644, 0o040755, 0o120777, 0o020666


def entry(
    name: str, size_bytes: int = 10, packed_bytes: int = 10, crc32: int = 1, mode: int = 0, start: int = 0
) -> Member:
    return Member(name, size_bytes, packed_bytes, crc32, mode, start)


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


def test_names_that_some_file_system_takes_for_one_are_told_apart() -> None:
    names = ["Höhe.jpg", "Ho\u0308he.jpg", "STRASSE.jpg", "straße.jpg", "HÖHE.JPG"]
    entries = [entry(name, crc32=number) for number, name in enumerate(names)]
    found = list(unpacking(entries).names.values())
    assert found == ["Höhe.jpg", "Höhe_.jpg", "STRASSE.jpg", "STRASSE_.jpg", "Höhe__.jpg"]


def test_a_file_that_comes_again_under_the_name_that_it_was_given_counts_once() -> None:
    entries = [
        entry("a.jpg", crc32=1),
        entry("a.jpg", crc32=2),
        entry("a_.jpg", crc32=2),
        entry("b/a.jpg", crc32=2),
    ]
    assert list(unpacking(entries).names.values()) == ["a.jpg", "a_.jpg"]


def test_thousands_of_files_of_one_name_are_named_in_no_time() -> None:
    plan = unpacking(entry("x" * 100 + ".jpg", crc32=number) for number in range(100_000))
    assert (len(plan.names), len(plan.skipped)) == (152, 100_000 - 152)
