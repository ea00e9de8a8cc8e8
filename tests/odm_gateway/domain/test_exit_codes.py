import pytest

from odm_gateway.domain.exit_codes import exit_text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "Cannot process dataset"),
        (134, "Cannot process dataset"),
        (139, "Cannot process dataset"),
        (137, "Not enough memory"),
        (132, "Unsupported CPU"),
        (3, "Installation issue"),
        (42, "Processing failed (42)"),
        (143, "Processing failed (143)"),
        (255, "Processing failed (255)"),
    ],
)
def test_exit_codes_are_told_in_nodeodms_words(code: int, text: str) -> None:
    assert exit_text(code) == text


@pytest.mark.parametrize(
    ("signal_number", "text"),
    [(9, "Not enough memory"), (6, "Cannot process dataset"), (15, "Processing failed (143)")],
)
def test_a_signal_counts_like_the_exit_code_that_a_shell_makes_of_it(signal_number: int, text: str) -> None:
    assert exit_text(-signal_number) == text
