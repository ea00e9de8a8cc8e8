"""Recipes written, applied and waited for from a notebook."""

from __future__ import annotations

import pytest

from datalab_client import Datalab, From, InvalidError, NotThereError, OperationFailedError, Recipe, Step


@pytest.fixture
def deep(lab: Datalab) -> Recipe:
    """Return a recipe of two steps."""
    return lab.write_recipe(
        "deep",
        [
            Step("Normalization", input_files=From("inputs"), name="flat"),
            Step("Median", input_files=From("flat")),
        ],
    )


def test_a_recipe_is_applied_to_files_and_waited_for(lab: Datalab, deep: Recipe) -> None:
    run = deep.apply(lab.session("night"), ["star0", "star1"]).wait(90)

    assert (run.status, run.progress) == ("COMPLETED", 1.0)
    assert [one["name"] for one in run.steps] == ["flat", "Median"]
    (normalized, median) = run.operations
    assert len(normalized.images) == 2
    assert [one["basename"] for one in median.input_data["input_files"]] == [
        one.basename for one in normalized.images
    ]
    assert "COMPLETED" in run._repr_html_()
    assert [one.id for one in deep.runs()] == [run.id] == [lab.run(run.id).id]


def test_a_recipe_is_applied_to_several_sets(lab: Datalab, deep: Recipe) -> None:
    run = deep.apply(lab.session("nights"), sets=[["star0", "star1"], ["star1", "star2"]])

    assert [one["set"] for one in run.steps] == [0, 0, 1, 1]
    assert run.cancel().has_ended
    with pytest.raises(OperationFailedError, match=f"run {run.id}, failed: Cancelled"):
        run.wait(60)
    run.delete()
    with pytest.raises(InvalidError, match="Give either files, or sets of them"):
        deep.apply(lab.session("nights"))


def test_a_recipe_is_written_anew_under_its_name(lab: Datalab, deep: Recipe) -> None:
    again = lab.write_recipe("deep", [Step("Sum", input_files=From("inputs"))], "another")

    assert (again.id, again.description) == (deep.id, "another")
    assert [one["operation"] for one in lab.recipe("deep").steps] == ["Sum"]
    assert [one.name for one in lab.recipes()] == ["deep"]
    lab.recipe(deep.id).delete()
    with pytest.raises(NotThereError, match="There is no recipe 'deep'"):
        lab.recipe("deep")


def test_a_step_that_makes_no_sense_is_told(lab: Datalab) -> None:
    with pytest.raises(InvalidError, match="Median has no input 'files'"):
        lab.write_recipe("wrong", [Step("Median", files=From("inputs"))])
    with pytest.raises(InvalidError, match="an earlier step"):
        lab.write_recipe("wrong", [Step("Median", input_files=From("later"))])
