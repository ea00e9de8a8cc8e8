from typing import Any

import pytest

from odm_gateway.domain.callers import ANYBODY, Caller
from odm_gateway.domain.choice import Choice
from odm_gateway.domain.sources import EVERYBODY, Folders, named_source
from odm_gateway.domain.tasks import Source
from shared.errors import InvalidInputError

ALL = Source(uri="s3://b/p/")


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, None), ({"zipurl": " ", "readS3Path": 1}, None), ({"zipurl": " s3://b/p "}, Source(uri="s3://b/p")),
        ({"zipurl": "s3://b/z", "readS3Path": "s3://b/r"}, Source(uri="s3://b/z")),
        ({"readS3Path": "s3://b/r", "s3ScanDepth": "1"}, Source(uri="s3://b/r", depth=0)),
        ({"readS3Path": "s3://b/r"}, Source(uri="s3://b/r", depth=0)),
        ({"readS3Path": "s3://b/r", "s3ScanDepth": 0, "processingMode": "standard"},
         Source(uri="s3://b/r", depth=0)),
        ({"zipurl": "s3://b/p", "excludePaths": ["*.{a,b}", "c/**"]},
         Source(uri="s3://b/p", excluded=("*.a", "*.b", "c/**"))),
        ({"readS3Path": "s3://b/r", "s3ScanDepth": 10, "excludePaths": "a/, ./b//c ,"},
         Source(uri="s3://b/r", depth=9, excluded=("a", "b/c"))),
        ({"readS3Path": "s3://b/r", "excludePaths": '["x y", "z"]'},
         Source(uri="s3://b/r", depth=0, excluded=("x y", "z"))),
    ],
)  # fmt: skip
def test_a_request_names_its_files(fields: dict[str, Any], source: Source | None) -> None:
    assert named_source(fields) == source


@pytest.mark.parametrize(
    "more",
    [
        *({"s3ScanDepth": depth} for depth in ("11x", 101, -1, 1.5, True, [1], "NaN")),
        *({"excludePaths": paths} for paths in ("[", {"a": 1}, ["/"], [".."], ["a"] * 101, 5)),
        *({"excludePaths": [pattern]} for pattern in ("a" * 1001, "{a,b}" * 7, "{" + "a," * 499 + "}")),
        {"processingMode": "thermal"}, {"useDefaultExcludes": "false"}, {"useDefaultExcludes": False},
    ],
)  # fmt: skip
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
        ("b/a/1.jpg", Source(uri="x", excluded=("*.jpg",)), False),
        ("b/a/1.jpg", Source(uri="x", excluded=("a/**",)), False),
        ("b/a/1.jpg", Source(uri="x", excluded=("b/*.jpg",)), True),
        ("b/a/1.jpg", Source(uri="x", excluded=("b/**/1.???", "x")), False),
        ("b/1.jpg", Source(uri="x", excluded=("b/**/1.jpg",)), False),
    ],
)  # fmt: skip
def test_some_files_below_a_prefix_count(path: str, source: Source, *, wanted: bool) -> None:
    assert Choice(source).counts(path) is wanted


def test_no_pattern_takes_long() -> None:
    slow = Choice(Source(uri="x", excluded=("**/a" * 100, "*a" * 300 + "b", "?*" * 200 + "b")))
    assert slow.counts("a/" * 400 + "a" * 200 + ".jpg")


ANN = Caller("ann")


@pytest.mark.parametrize("prefix", ["uploads/a", "products", "jobs/x", "bob/a", "annex", "flights", ""])
def test_what_may_be_somebody_elses_is_not_read(prefix: str) -> None:
    with pytest.raises(InvalidInputError):
        Folders().check_readable(prefix, ANN)


def test_folders_are_read_by_those_to_whom_they_are_granted() -> None:
    for prefix in ("ann", "ann/a", "staging/flight/1"):
        Folders().check_readable(prefix, ANN)
    granted = Folders((("ann", "flights/2026/"), (EVERYBODY, "common")))
    for prefix in ("flights/2026", "flights/2026/x", "common/a", "ann"):
        granted.check_readable(prefix, ANN)
    for prefix, caller in (("flights/2026", Caller("bob")), ("flights", ANN), ("staging/a", ANN)):
        with pytest.raises(InvalidInputError):
            granted.check_readable(prefix, caller)


def test_those_who_see_all_read_all() -> None:
    for prefix in ("uploads/a", "bob/a", "products/x"):
        Folders().check_readable(prefix, ANYBODY)
    with pytest.raises(InvalidInputError):
        Folders().check_readable("", ANYBODY)


@pytest.mark.parametrize("prefix", ["", "uploads/a", "products", "staging/x", "jobs"])
def test_nobody_writes_where_ours_lies(prefix: str) -> None:
    for caller in (ANYBODY, ANN, Caller("uploads"), Caller("staging")):
        with pytest.raises(InvalidInputError):
            Folders().check_writable(prefix, caller)


def test_products_go_to_folders_of_ones_own() -> None:
    Folders().check_writable("mine/a", ANYBODY)
    Folders().check_writable("ann/a", ANN)
    Folders((("ann", "results"),)).check_writable("results/ann", ANN)
    for prefix in ("bob", "bob/all", "annex/a"):
        with pytest.raises(InvalidInputError, match="the operator grants"):
            Folders().check_writable(prefix, ANN)
