import pytest

from odm_gateway.domain.logins import caller_of_user, check_password, user_name
from shared.errors import InvalidInputError


@pytest.mark.parametrize(
    ("raw", "name"), [("Ann", "ann"), (" a.b-c_d+e@example.org ", "a.b-c_d+e@example.org"), ("7", "7")]
)
def test_a_name_counts_in_small_letters(raw: str, name: str) -> None:
    assert user_name(raw) == name


@pytest.mark.parametrize("raw", ["", " ", "a b", "a/b", "-ann", "ann.", "ann\n\0", "ä", "x" * 65, "a,b=c"])
def test_names_that_could_be_taken_for_others_are_refused(raw: str) -> None:
    with pytest.raises(InvalidInputError, match="username must be"):
        user_name(raw)


def test_a_password_has_a_least_and_a_greatest_length() -> None:
    check_password("x" * 8)
    for password in ("x" * 7, "x" * 1001):
        with pytest.raises(InvalidInputError):
            check_password(password)


def test_users_are_tenants_of_their_own() -> None:
    ann = caller_of_user("ann")
    assert (ann.sees("user:ann"), ann.sees("user:bob"), ann.sees("ann"), ann.sees("")) == (True,) + (
        False,
    ) * 3
