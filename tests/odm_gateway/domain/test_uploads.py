from datetime import UTC, datetime

import pytest

from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import (
    Gathered,
    Limits,
    UploadedFile,
    file_name,
    new_draft,
    next_name,
)
from shared.errors import InvalidInputError


def uploaded(name: str, content: str = "1") -> UploadedFile:
    return UploadedFile(
        task_key="t", upload="u", name=name, key="k", size_bytes=len(content), sha256=content, at_us=0
    )


@pytest.mark.parametrize(
    ("raw", "name"),
    [("a.jpg", "a.jpg"), ("a/b.jpg", "b.jpg"), ("a\\b.jpg", "b.jpg"), (" a.jpg ", "a.jpg"),
     ("Body.json", "_Body.json"), ("...jpg", "...jpg"), ("ä" * 126 + ".jp", "ä" * 126 + ".jp")],
)  # fmt: skip
def test_of_a_path_the_last_part_is_the_name(raw: str, name: str) -> None:
    assert file_name(raw) == name


@pytest.mark.parametrize(
    "raw", ["", ".", "..", "a/", "a/..", "a\nb", "a\x7f", "\0", "x" * 256, "ä" * 128, "\ud800"]
)
def test_what_no_file_can_be_called_is_refused(raw: str) -> None:
    with pytest.raises(InvalidInputError):
        file_name(raw)


@pytest.mark.parametrize(
    ("name", "following"), [("a.jpg", "a_.jpg"), ("a_.jpg", "a__.jpg"), ("a", "a_"), ("a.b.c", "a.b_.c")]
)
def test_the_next_name_is_nodeodms(name: str, following: str) -> None:
    assert next_name(name) == following


def test_there_is_no_next_name_for_the_longest() -> None:
    with pytest.raises(InvalidInputError, match="same name"):
        next_name("x" * 251 + ".jpg")


def test_files_of_one_request_are_told_apart_by_content_and_by_name_without_its_case() -> None:
    gathered = Gathered()
    files = [
        uploaded("a.jpg"),
        uploaded("A.JPG", "22"),
        uploaded("a.jpg"),
        uploaded("ß"),
        uploaded("SS", "22"),
    ]
    assert [gathered.add(file) for file in files] == [True, True, False, True, True]
    assert [file.name for file in gathered.files] == ["a.jpg", "A_.JPG", "ß", "SS_"]


def test_names_that_differ_in_their_unicode_form_are_one_name() -> None:
    gathered = Gathered()
    names = ["Höhe.jpg", "Ho\u0308he.JPG", "Höhe_.jpg"]
    assert all(gathered.add(uploaded(name, name)) for name in names)
    assert [file.name for file in gathered.files] == ["Höhe.jpg", "Ho\u0308he_.JPG", "Höhe__.jpg"]


def test_a_task_has_some_files_and_not_any_number() -> None:
    Limits(files=2).check_files(2)
    for count, words in ((0, "Need at least 1 file"), (3, "at most 2 files")):
        with pytest.raises(InvalidInputError, match=words):
            Limits(files=2).check_files(count)


def test_limits_speak_nodeodms_words() -> None:
    limits = Limits(images=2, total_bytes=10)
    limits.check(2, 10)
    with pytest.raises(
        InvalidInputError, match=r"^3 images uploaded, but this node can only process up to 2\.$"
    ):
        limits.check(3, 10)
    with pytest.raises(InvalidInputError, match="10 bytes"):
        limits.check(2, 11)
    Limits().check(10**6, 10**15)


def test_a_task_is_dated_by_its_client_or_by_its_commit() -> None:
    then, now = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    task = Task(id="t", created_at=then, inserted_us=0, images="")
    dates = [
        new_draft("t", task, 0, is_dated=dated).committed_task(now, 1, 2).created_at
        for dated in (True, False)
    ]
    assert dates == [then, now]


def test_two_uploads_for_one_task_have_nothing_in_common() -> None:
    task = Task(id="t", created_at=datetime(2020, 1, 1, tzinfo=UTC), inserted_us=0, images="")
    one, other = (new_draft("t", task, 0, is_dated=False) for _ in range(2))
    assert one.prefix != other.prefix
    assert one.manifest.startswith("uploads/t/")
