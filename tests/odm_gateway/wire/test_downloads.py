import pytest

from odm_gateway.wire.downloads import Part, UnsatisfiableRangeError, wanted_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 10)), ("bytes=90-", Part(90, 100)), ("bytes=-5", Part(95, 100)),
        ("bytes=90-1000", Part(90, 100)), ("bytes=-1000", Part(0, 100)),
    ],
)  # fmt: skip
def test_one_range_is_a_part(header: str, part: Part) -> None:
    assert wanted_part(header, 100) == part


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=a-b", f"bytes=0-{'9' * 5000}"],
)
def test_anything_else_means_the_whole(header: str | None) -> None:
    assert wanted_part(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        wanted_part(header, 100)
