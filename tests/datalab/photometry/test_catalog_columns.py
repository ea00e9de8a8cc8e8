"""Columns of catalogues, against astropy's tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from datalab.operations.operation import OperationError
from datalab.photometry.catalog_columns import read_columns


def written(path: Path, table: Any, name: str = "CAT") -> Path:
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name=name)]).writeto(path)
    return path


def test_every_kind_of_number_is_read_and_the_rest_passed_over(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    table = Table({"Text": ["a", "bcd"], "vector": rng.normal(size=(2, 3)), "yes": [True, False]})
    kinds = ("u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4")
    for kind in kinds:
        table[f"X_{kind}"] = np.array([1, 200], kind)
    table["complex"] = np.array([1j, 2])
    table["gaps"] = MaskedColumn(np.array([5, 6], "i4"), mask=[True, False])
    columns = read_columns(written(tmp_path / "a.fits", table), "a")
    assert columns is not None
    assert set(columns) == {
        *(f"x_{kind}" for kind in ("u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4")),
        "gaps",
    }
    for name, values in columns.items():
        if name != "gaps":
            np.testing.assert_array_equal(values, [1, 200])
    np.testing.assert_array_equal(columns["gaps"], [np.nan, 6])


def test_scaled_numbers_are_what_is_meant(tmp_path: Path) -> None:
    path = written(tmp_path / "a.fits", Table({"mag": np.array([5, 6], "i2")}))
    content = path.read_bytes()
    blank, scales = (
        b" " * 160,
        f"{'TSCAL1  =                  0.5':80}{'TZERO1  =                 10.0':80}".encode(),
    )
    end = content.index(b"END" + b" " * 77, 2880)
    path.write_bytes(
        content[:end] + scales + content[end : end + 80] + content[end + 80 :].replace(blank, b"", 1)
    )
    columns = read_columns(tmp_path / "a.fits", "a")
    assert columns is not None
    np.testing.assert_array_equal(columns["mag"], [12.5, 13.0])


def test_no_catalogue_is_none_and_an_empty_one_empty(tmp_path: Path) -> None:
    table = Table({"x": np.zeros(0)})
    assert read_columns(written(tmp_path / "a.fits", table, "OTHER"), "a") is None
    empty = read_columns(written(tmp_path / "b.fits", table), "b")
    assert empty is not None
    assert len(empty["x"]) == 0


@pytest.mark.parametrize(("old", "new"), [(b"'D       '", b"'7Z      '"), (b"'D       '", b"'90D     '")])
def test_a_damaged_catalogue_is_told(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = written(tmp_path / "a.fits", Table({"x": np.zeros(3)}))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(OperationError, match="catalogue that cannot be read"):
        read_columns(path, "a")
