import pytest

from odm_gateway.domain.callers import ANYBODY, Caller, Keyring


def test_without_tokens_anybody_sees_all() -> None:
    assert Keyring.parse("").caller("leaked") == ANYBODY


def test_one_token_sees_the_tasks_of_all() -> None:
    keyring = Keyring.parse("abc")
    assert keyring.caller("abc") == Caller("default", sees_all=True)
    assert keyring.caller("") is keyring.caller("abcd") is None


def test_several_tokens_see_their_own_unless_they_are_admins() -> None:
    keyring = Keyring.parse("ann=1, bob=2", admins=["bob"])
    ann, bob = keyring.caller("1"), keyring.caller("2")
    assert ann is not None
    assert bob is not None
    assert (ann.sees("ann"), ann.sees("bob"), bob.sees("ann")) == (True, False, True)


@pytest.mark.parametrize(
    ("text", "admins", "said"),
    [
        ("a=1,a=2", [], "a name of its own"),
        ("1,2", [], "a name of its own"),
        ("a=1,b=1", [], "differ"),
        ("a=", [], "expected"),
        ("=1", [], "expected"),
        ("a=1,b=2", ["c"], "no token for c"),
        ("user:ann=1", [], "neither with user:"),
        ("tapis:ann@tacc=1", [], "nor with tapis:"),
    ],
)
def test_tokens_that_cannot_be_told_apart_are_refused(text: str, admins: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Keyring.parse(text, admins)


def test_where_people_log_in_nobody_is_let_in_without_a_token() -> None:
    assert Keyring.parse("", login=True).caller("") is None
