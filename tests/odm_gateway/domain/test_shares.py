"""Who comes next where several share slots."""

from odm_gateway.domain.shares import AT_ONCE_S, DEBT_AT_MOST_S, Shares

HOUR_S = 3600.0


def test_without_anything_in_hand_nobody_is_preferred() -> None:
    assert Shares().ranked(["bob", "ann"], [], 0) == ["ann", "bob"]


def test_who_has_something_in_hand_comes_later_from_the_first_moment() -> None:
    shares = Shares()
    shares.take("ann", 0)
    assert shares.ranked(["ann", "bob"], [], 0) == ["bob", "ann"]


def test_slot_time_counts_after_it_was_given_back() -> None:
    shares = Shares()
    shares.ranked(["ann", "bob"], [], 0)
    shares.take("ann", 0)
    shares.give_back("ann", HOUR_S)
    assert shares.ranked(["ann", "bob"], [], HOUR_S) == ["bob", "ann"]


def test_while_nobody_waits_what_was_used_is_forgiven() -> None:
    shares = Shares()
    shares.ranked(["ann", "bob"], [], 0)
    shares.take("ann", 0)
    shares.give_back("ann", HOUR_S)
    shares.ranked([], [], HOUR_S)
    assert shares.ranked(["ann", "bob"], [], HOUR_S) == ["ann", "bob"]


def test_a_debt_has_an_end() -> None:
    shares = Shares()
    shares.ranked(["ann", "bob"], [], 0)
    shares.take("ann", 0)
    shares.give_back("ann", 100 * DEBT_AT_MOST_S)
    now_s = 100 * DEBT_AT_MOST_S
    assert shares.ranked(["ann", "bob"], [], now_s) == ["bob", "ann"]
    shares.take("bob", now_s)
    now_s += DEBT_AT_MOST_S + AT_ONCE_S
    shares.give_back("bob", now_s)
    assert shares.ranked(["ann", "bob"], [], now_s) == ["ann", "bob"]


def test_those_whose_work_was_left_behind_are_ranked_among_the_others() -> None:
    shares = Shares()
    shares.take("ann", 0)
    assert shares.ranked(["ann"], ["bob", "ann"], 1) == ["bob", "ann"]
