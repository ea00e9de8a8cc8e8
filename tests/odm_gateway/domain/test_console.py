import pytest

from odm_gateway.domain.console import LINE_AT_MOST_CHARACTERS, clean_line


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("  \x1b[39m[INFO]    running\x1b[0m  \r\n", "[INFO]    running"), ("\x1b]0;title\x07text", "text"),
        ("a\x00b\x07c", "abc"), ("tab\tstays", "tab\tstays"), ("", ""),
    ],
)  # fmt: skip
def test_colours_and_control_are_removed(raw: str, line: str) -> None:
    assert clean_line(raw) == line


def test_a_line_that_is_exactly_error_is_altered_for_pyodm() -> None:
    assert clean_line("error\n") == "error:"


def test_endless_lines_are_cut() -> None:
    assert len(clean_line("x" * 1_000_000)) == LINE_AT_MOST_CHARACTERS + 2
