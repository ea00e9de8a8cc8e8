from typing import Any

import pytest

from odm_gateway.domain.callers import ANYBODY, Caller
from odm_gateway.domain.sources import check_readable, check_writable, counts, named_source
from odm_gateway.domain.tasks import Source
from shared.errors import InvalidInputError

ALL = Source(uri="s3://b/p/")


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, None), ({"zipurl": " ", "readS3Path": 1}, None), ({"zipurl": " s3://b/p "}, Source(uri="s3://b/p")),
        ({"zipurl": "s3://b/z", "readS3Path": "s3://b/r"}, Source(uri="s3://b/z")),
        ({"readS3Path": "s3://b/r", "s3ScanDepth": "1"}, Source(uri="s3://b/r", depth=0)),
        ({"readS3Path": "s3://b/r", "s3ScanDepth": 10, "excludePaths": "a/, ./b//c ,"},
         Source(uri="s3://b/r", depth=9, excluded=("a", "b/c"))),
        ({"readS3Path": "s3://b/r", "excludePaths": '["x y", "z"]'},
         Source(uri="s3://b/r", excluded=("x y", "z"))),
    ],
)  # fmt: skip
def test_a_request_names_its_files(fields: dict[str, Any], source: Source | None) -> None:
    assert named_source(fields) == source


@pytest.mark.parametrize(
    "more",
    [
        *({"s3ScanDepth": depth} for depth in ("0", "11x", 101, -1, 1.5, True, [1], "NaN")),
        *({"excludePaths": paths} for paths in ("[", {"a": 1}, ["/"], [".."], ["a"] * 1001, 5)),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        named_source({"zipurl": "s3://b/p", **more})


@pytest.mark.parametrize(
    ("path", "source", "wanted"),
    [
        ("1.jpg", ALL, True), ("a/b/1.TIF", ALL, True), ("gcp_list.txt", ALL, True), ("v.srt", ALL, True),
        ("a/.1.jpg", ALL, False), ("__MACOSX/1.jpg", ALL, False), ("opensfm/undistorted/1.jpg", ALL, False),
        ("a/odm_dem/dsm.tif", ALL, False), ("log.pdf", ALL, False), ("all.zip", ALL, False),
        ("seed.zip", ALL, True),
        ("a/1.jpg", Source(uri="x", depth=0), False), ("1.jpg", Source(uri="x", depth=0), True),
        ("a/1.jpg", Source(uri="x", depth=1), True), ("a/1.jpg", Source(uri="x", excluded=("a",)), False),
        ("ab/1.jpg", Source(uri="x", excluded=("a",)), True),
        ("a/1.jpg", Source(uri="x", excluded=("*/1.*",)), False),
    ],
)  # fmt: skip
def test_some_files_below_a_prefix_count(path: str, source: Source, *, wanted: bool) -> None:
    assert counts(path, source) is wanted


def test_files_of_tasks_are_read_by_those_who_see_all() -> None:
    check_readable("uploads/a", ANYBODY)
    check_readable("flights/a", Caller("ann"))
    for prefix in ("uploads/a", "products", "jobs/x"):
        with pytest.raises(InvalidInputError):
            check_readable(prefix, Caller("ann"))
    with pytest.raises(InvalidInputError):
        check_readable("", ANYBODY)


@pytest.mark.parametrize("prefix", ["", "uploads/a", "products", "staging/x", "jobs"])
def test_nobody_writes_where_ours_lies(prefix: str) -> None:
    with pytest.raises(InvalidInputError):
        check_writable(prefix)
    check_writable("mine/a")
