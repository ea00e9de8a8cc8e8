"""Whatever is sent as a recipe, it is taken or refused; what is taken can be applied or is refused, too."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datalab.domain.recipes import Step
from datalab.recipes.checking import files_wanted, steps_of
from datalab.wire.errors import RefusedError
from datalab.wire.fields import WrongError
from tests.support.datalab_operations import REGISTRY

FILE = {"source": "upload", "basename": "a.fits"}
NAMES = st.sampled_from(["a", "b", "c", "Sum", "inputs", "", 0, 1, 2, -1, None, 1.5])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
REFERENCES = st.fixed_dictionaries(
    {"from": NAMES | JUNK}, optional={"index": st.integers(-1, 4) | JUNK, "color": JUNK, "basename": JUNK}
)
FILES = st.lists(REFERENCES | st.just(FILE) | JUNK, max_size=4) | REFERENCES | JUNK
STEPS = st.fixed_dictionaries(
    {"operation": st.sampled_from(["Sum", "Sum", "Sum", "Trouble"]) | JUNK},
    optional={
        "name": NAMES | JUNK,
        "input_data": st.fixed_dictionaries(
            {"input_files": FILES}, optional={"take_s": JUNK, "how": st.just("refuse"), "more": REFERENCES}
        )
        | JUNK,
    },
)


@given(st.lists(STEPS | JUNK, max_size=5) | JUNK, st.integers(0, 3))
@settings(max_examples=60, deadline=None, database=None)
def test_steps_are_taken_or_refused_and_nothing_else(sent: Any, inputs: int) -> None:
    with suppress(RefusedError, WrongError):
        steps = steps_of(sent, REGISTRY)
        assert len({step.name for step in steps}) == len(steps) == len(sent)
        wanted = files_wanted(steps, {"inputs": [FILE] * inputs}, REGISTRY)
        assert all(ref.basename for ref in wanted)


def test_files_that_are_wanted_are_those_of_the_inputs_and_the_recipes_own() -> None:
    flat = {"source": "upload", "basename": "flat.fits"}
    data = {"input_files": [{"from": "inputs"}, flat, flat]}
    steps = [
        Step(name="a", operation="Sum", input_data=data),
        Step(name="b", operation="Sum", input_data={"input_files": [{"from": "a"}]}),
    ]

    wanted = files_wanted(steps, {"sets.0": [FILE], "sets.1": [FILE, FILE]}, REGISTRY)

    assert [ref.basename for ref in wanted] == ["a.fits", "flat.fits"]
