"""Each row of the contract is named by a test: in its docstring, as ``Row: …``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
FOLDERS = (TESTS / "datalab", TESTS / "journeys", TESTS / "flightline" / "archive_simulator")
ROWS = (
    # REST
    "GET /api/datasessions/",
    "POST /api/datasessions/",
    "GET, PUT, PATCH, DELETE /api/datasessions/{id}/",
    "GET, POST /api/datasessions/{id}/operations/",
    "GET, PUT, PATCH, DELETE /api/datasessions/{id}/operations/{oid}/",
    "POST /api/datasessions/{id}/operations/bulk_delete/",
    "GET /api/available_operations/",
    "POST /api/analysis/{action}/",
    "POST /authprofile/addupdateuser/",
    "/admin/",
    "Authorization, Token and Bearer",
    "401 bodies",
    "a bad date",
    "missing trailing slash",
    "pagination",
    "session JSON",
    "operation JSON",
    "the user's document",
    # inputs
    "the seed's form, the page's form, an output as an input",
    "sources archive and datalab",
    "source upload",
    "unknown keys",
    # states, cache, storage
    "statuses",
    "FAILED and its message",
    "where results are",
    "cache key",
    "re-run",
    "S3, signed URLs",
    "file cache",
    "output FITS",
    "JPEG",
    "output",
    "output_data",
    # operations
    "wizards of the eleven operations",
    "inputs of the eleven operations",
    "outputs of the eleven operations",
    "least numbers of files",
    "bounds of inputs",
    # analysis
    "line-profile",
    "source-catalog",
    "wcs",
    "raw-data",
    "get-tif, get-jpg",
    "centroiding",
    # archive and portal
    "GET {archive}/frames/?basename_exact=B",
    "GET {archive}/frames/{id}/headers/",
    "portal profile",
    "frames as BANZAI writes them",
    # faults of the service that users had before
    *(f"fault {number}" for number in range(1, 12)),
    # what its page needs
    "integer ids",
    "Content-Length",
    "CORS with authorization and content-type",
    "CORS of results",
    "error beside the fields",
    "DELETE without slash",
)


def _cited() -> Iterator[str]:
    for path in [path for folder in FOLDERS for path in folder.rglob("test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                _, *rows = f" {ast.get_docstring(node) or ''}".split("Row: ")
                yield from rows


@pytest.fixture(scope="module")
def cited() -> list[str]:
    """Return what docstrings of tests say behind ``Row:``."""
    return list(_cited())


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_named_by_a_test(cited: list[str], row: str) -> None:
    assert [
        one for one in cited if one.startswith((f"{row}.", f"{row};", f"{row},", f"{row} ")) or row == one
    ]
