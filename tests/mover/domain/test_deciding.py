from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from mover.domain.deciding import Go, Rules, Stay, Why, decide

RULES = Rules("ai", "data/organized", "data/_unsorted")


@dataclass(frozen=True)
class OneTag:
    name: str
    id: int = 1
    can_assign: bool = True


def tags(*names: str) -> list[OneTag]:
    return [OneTag(name, number) for number, name in enumerate(names, 1)]


def test_one_category_is_where_the_file_goes() -> None:
    assert decide(tags("holiday", "ai:cats"), RULES) == Go(("cats",), (2,))


def test_tags_that_are_not_for_us_count_for_nothing() -> None:
    assert decide(tags("holiday", "x:cats", "trai:n"), RULES) is None
    assert decide([], RULES) is None


def test_tags_of_the_same_name_are_one_category_and_all_come_off() -> None:
    twins = [OneTag("ai:cats", 7), OneTag("AI:Cats", 3), OneTag(" ai:cats ", 9)]

    assert decide(twins, RULES) == Go(("Cats", "cats"), (3, 7, 9))


def test_several_categories_leave_the_file() -> None:
    decision = decide(tags("ai:cats", "ai:dogs"), RULES)

    assert isinstance(decision, Stay)
    assert decision.why is Why.SEVERAL
    assert "'ai:cats', 'ai:dogs'" in decision.sentence


def test_an_invalid_category_leaves_the_file_even_beside_a_valid_one() -> None:
    decision = decide(tags("ai:cats", "ai:../x"), RULES)

    assert isinstance(decision, Stay)
    assert decision.why is Why.INVALID
    assert "'ai:../x'" in decision.sentence


def test_a_tag_that_cannot_be_taken_off_leaves_the_file() -> None:
    decision = decide([OneTag("ai:cats", 1), OneTag("ai:cats", 2, can_assign=False)], RULES)

    assert isinstance(decision, Stay)
    assert decision.why is Why.RESTRICTED


def test_a_restricted_tag_that_is_not_for_us_does_not_matter() -> None:
    assert decide([OneTag("ai:cats", 1), OneTag("secret", 2, can_assign=False)], RULES) == Go(("cats",), (1,))


def test_the_folder_of_unsorted_files_is_no_category() -> None:
    within = Rules("ai", "data", "data/_unsorted")

    for tag in ("ai:_unsorted", "ai:_UNSORTED"):
        decision = decide(tags(tag), within)
        assert isinstance(decision, Stay)
        assert decision.why is Why.INVALID


def test_a_category_within_the_folder_of_unsorted_files_is_none() -> None:
    nested = Rules("ai", "data", "data/_unsorted", nested=True)

    assert isinstance(decide(tags("ai:_unsorted/cats"), nested), Stay)
    assert decide(tags("ai:_unsorted2"), nested) == Go(("_unsorted2",), (1,))


@given(st.lists(st.builds(OneTag, st.text(max_size=12), st.integers(1, 50), st.booleans()), max_size=6))
def test_whatever_the_tags_only_ours_are_taken_off(given_tags: list[OneTag]) -> None:
    decision = decide(given_tags, RULES)

    if isinstance(decision, Go):
        ours = {tag.id for tag in given_tags if tag.name.strip().lower().startswith("ai")}
        assert decision.tag_ids
        assert set(decision.tag_ids) <= ours
