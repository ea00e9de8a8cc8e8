from __future__ import annotations

from mover.domain.folders import Folders


def test_a_folder_that_is_there_is_taken_as_it_is_written_there() -> None:
    folders = Folders(["Cats", "dogs"])

    assert folders.chosen(["cats"]) == "Cats"
    assert folders.chosen(["dogs", "Dogs"]) == "dogs"


def test_of_folders_that_differ_in_case_the_exact_one_is_taken() -> None:
    folders = Folders(["CATS", "cats"])

    assert folders.chosen(["cats"]) == "cats"
    assert folders.chosen(["CATS"]) == "CATS"


def test_any_spelling_of_a_tag_may_name_the_folder_that_is_there() -> None:
    assert Folders(["cats"]).chosen(["Cats", "cats"]) == "cats"


def test_what_is_not_there_is_made_as_the_tag_says() -> None:
    folders = Folders()

    assert folders.chosen(["Cats"]) == "Cats"
    assert "Cats" not in folders

    folders.add("Cats")
    assert folders.chosen(["cats"]) == "Cats"
    assert "Cats" in folders


def test_a_nested_category_goes_into_what_is_there_of_it() -> None:
    folders = Folders(["Animals"])

    assert folders.chosen(["animals/cats"]) == "Animals/cats"

    folders.add("Animals/cats")
    assert folders.chosen(["ANIMALS/CATS"]) == "Animals/cats"
    assert "Animals/cats" in folders
